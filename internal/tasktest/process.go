package tasktest

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// childEnv holds the name of the test that a child process is to run.
const childEnv = "AWAIT_TEST_CHILD"

// IsChild reports whether this is the process that [RunChild] made for t.
func IsChild(t *testing.T) bool {
	t.Helper()
	return os.Getenv(childEnv) == t.Name()
}

// RunChild runs t again in a process of its own, for what would end this one.
func RunChild(t *testing.T, env ...string) (output string, err error) {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	run := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := exec.CommandContext(t.Context(), program, "-test.run="+run, "-test.timeout=1m")
	// The race detector would sleep for a second before the exit.
	cmd.Env = append(append(os.Environ(), childEnv+"="+t.Name(), "GORACE=atexit_sleep_ms=0"), env...)
	bytes, err := cmd.CombinedOutput()
	require.NotContains(t, string(bytes), "no tests to run")
	return string(bytes), err
}
