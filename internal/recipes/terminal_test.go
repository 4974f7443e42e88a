package recipes_test

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/ascompleted/await"
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
