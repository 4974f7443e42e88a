package recipes_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A test may use require inside its tasks. When one fails, it reports that to t
// and ends its goroutine by runtime.Goexit, as t.FailNow does. With await that
// is a result like any other, with the error await.ErrGoexit; here it makes
// Gather cancel the other tasks. With bare goroutines the test would wait for a
// result that never comes, or go on without it.
//
// Watch out to check the error in the test itself: only the task has ended,
// and the test goes on.
func TestRequireInTask(t *testing.T) {
	testUpper(t, "one", "two", "three")
}

func testUpper(t *testing.T, words ...string) {
	t.Helper()
	upper := func(_ context.Context, word string) (string, error) {
		require.NotEmpty(t, word)
		return strings.ToUpper(word), nil
	}
	values, err := await.Gather(t.Context(), await.Tasks(words, upper))
	require.NoError(t, err)
	assert.Equal(t, []string{"ONE", "TWO", "THREE"}, values)
}

// What a failure looks like, seen from outside: the test runs itself once more
// and fails there.
func TestFailedRequireInTask(t *testing.T) {
	if os.Getenv("RECIPE_FAILS") != "" {
		testUpper(t, "one", "", "three")
		return
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=1m")
	again.Env = append(again.Environ(), "RECIPE_FAILS=1")
	output, err := again.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Contains(t, string(output), "--- FAIL: TestFailedRequireInTask")
	assert.Contains(t, string(output), "Should NOT be empty")
	assert.Contains(t, string(output), "await: the task called runtime.Goexit")
	assert.NotContains(t, string(output), "panic")
}
