//go:build !explore

package proof_test

import (
	"testing"

	"github.com/ascompleted/await/internal/tasktest"
)

func TestMain(m *testing.M) { tasktest.Main(m) }
