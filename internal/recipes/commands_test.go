package recipes_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shell runs a command line and returns what it prints. The error says what the
// command complained about. When the context ends, the command is killed.
func shell(ctx context.Context, line string) (string, error) {
	command := exec.CommandContext(ctx, "sh", "-c", line)
	command.WaitDelay = time.Second // for children that keep its output open
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err != nil:
		err = fmt.Errorf("%s: %w: %s", line, err, bytes.TrimSpace(complaints.Bytes()))
	}
	return strings.TrimSpace(string(output)), err
}

// Several shell commands at once. Each prints into a buffer of its own, so their
// lines are not mixed, and the loop shows each as a whole when it is done.
//
// Watch out that only the shell is killed, not what it has started. These children
// may run on and keep the output open, for which Wait waits: WaitDelay ends that.
// And watch out not to put input from outside into a command line: give it to
// exec.CommandContext as an argument.
func TestSeveralShellCommands(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell")
	}
	lines := []string{"echo one", "echo two; echo lines", "echo no luck >&2; exit 3"}
	outcomes := await.Settle(t.Context(), await.Tasks(lines, shell), await.Limit(2))
	assert.Equal(t, await.Result[string]{Value: "one"}, outcomes[0])
	assert.Equal(t, await.Result[string]{Value: "two\nlines"}, outcomes[1])
	require.EqualError(t, outcomes[2].Err, "echo no luck >&2; exit 3: exit status 3: no luck")
}

func TestTheFirstCommandThatFailsKillsTheOthers(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell")
	}
	lines := []string{"exec sleep 600", "exit 1"}
	_, err := await.Gather(t.Context(), await.Tasks(lines, shell))
	var failed *await.TaskError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, 1, failed.Index)
}
