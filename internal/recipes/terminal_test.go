package recipes_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// typed sends the lines of r through a channel, until r or the context ends.
func typed(ctx context.Context, r io.Reader) <-chan string {
	ch := make(chan string)
	go func() {
		defer close(ch)
		for in := bufio.NewScanner(r); in.Scan(); {
			select {
			case ch <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

// A reader that nothing can wake, such as a terminal: a sequence that reads it
// would delay the end of the loop until the next line is typed. So the reading
// is done in a goroutine of its own, which sends on a channel, and the sequence
// receives from that, in a context that OnCancel cancels (received is in
// channel_test.go).
//
// A Ctrl-C ends the loop at once too, if ctx is of signal.NotifyContext: reading
// ends with it.
//
// Watch out that this goroutine stays blocked until a line is typed or the program
// ends, and that this line is lost to a later reader.
func Example_terminal() {
	terminal, keyboard := io.Pipe() // os.Stdin in a program
	go func() {
		_, _ = io.WriteString(keyboard, "six\nseven\nquit\n") // then nobody types
	}()

	ctx := context.Background()
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	answer := func(_ context.Context, line string) (int, error) { return len(line), nil }
	lines := await.TaskSeq(received(reading, typed(reading, terminal)), answer)
	for line, r := range await.InOrderSeq(ctx, lines, await.Limit(2), await.OnCancel(cancel)) {
		if line == "quit" {
			break
		}
		fmt.Println(line, r.Value, r.Err)
	}
	// Output:
	// six 3 <nil>
	// seven 5 <nil>
}

func TestCtrlCEndsALoopOverATerminalAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal, keyboard := io.Pipe()
		defer func() { _ = keyboard.Close() }()
		go func() { _, _ = io.WriteString(keyboard, "six\n") }() // then nobody types

		began := time.Now()
		ctx, signal := context.WithTimeout(t.Context(), time.Second) // signal.NotifyContext
		defer signal()
		reading, cancel := context.WithCancel(ctx)
		defer cancel()
		answer := func(_ context.Context, line string) (int, error) { return len(line), nil }
		lines := await.TaskSeq(received(reading, typed(reading, terminal)), answer)
		var answered []string
		for line, r := range await.InOrderSeq(ctx, lines, await.Limit(2), await.OnCancel(cancel)) {
			require.NoError(t, r.Err)
			answered = append(answered, line)
		}
		assert.Equal(t, []string{"six"}, answered)
		assert.Equal(t, time.Second, time.Since(began))
	})
}
