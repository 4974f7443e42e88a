// Package keystest has keys for tests.
package keystest

import (
	"path/filepath"
	"testing"

	"github.com/ascompleted/await/internal/recipes/remote/keys"
)

// New returns new keys, which end with the test.
func New(t *testing.T, hosts ...string) keys.Dir {
	t.Helper()
	dir := keys.Dir(filepath.Join(t.TempDir(), "keys"))
	if err := dir.Make(hosts...); err != nil {
		t.Fatal(err)
	}
	return dir
}
