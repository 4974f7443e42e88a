package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTraceHasTheNamesOfTheCalls(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trace.out")
	o := demo(t, "", "-timeline", "-trace", file)
	require.Equal(t, allHere, o.status, o.stderr)
	recorded, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, way := range ways {
		assert.Contains(t, string(recorded), way.name)
	}
}

func TestTraceThatCannotBeWritten(t *testing.T) {
	o := demo(t, "", "-timeline", "-trace", filepath.Join(t.TempDir(), "none", "trace.out"))
	assert.Equal(t, someFailed, o.status)
	assert.Contains(t, o.stderr, "trace.out: ")
	assert.Empty(t, o.stdout)
}
