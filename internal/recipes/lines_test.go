package recipes_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"strings"
	"testing"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lines yields the lines of r, and the error if reading fails.
func lines(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		scanner := bufio.NewScanner(r)
		for scanner.Scan() {
			if !yield(scanner.Text(), nil) {
				return
			}
		}
		if err := scanner.Err(); err != nil {
			yield("", err)
		}
	}
}

// count counts the lines for which fn succeeds. It returns all errors, each with
// its line.
func count(ctx context.Context, r io.Reader, fn func(context.Context, string) error) (done int, err error) {
	tasks := await.TaskSeq2(lines(r), await.NoValue(fn))
	for line, result := range await.AsCompletedSeq(ctx, tasks, await.Limit(8)) {
		if result.Err != nil {
			err = errors.Join(err, fmt.Errorf("%q: %w", line, result.Err))
			continue
		}
		done++
	}
	return done, err
}

// The lines of a file, of any length, until Ctrl-C. The file is read lazily, so
// memory is constant. A read error is the result of a task, and so is a Ctrl-C
// that came before the end of the file: it matches await.ErrNotStarted.
//
// When the loop has ended nobody reads the file anymore, so it can be closed.
// Watch out for the limit of bufio.Scanner: 64 KiB a line, unless Buffer is
// called.
func Example_linesOfAFile() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	file := strings.NewReader("go.dev\nexample.com\n\nexample.org") // of os.Open in a program

	check := func(_ context.Context, host string) error {
		if host == "" {
			return errors.New("no host")
		}
		return nil
	}
	done, err := count(ctx, file, check)
	fmt.Println(done, "hosts are fine")
	fmt.Println(err)
	// Output:
	// 3 hosts are fine
	// "": no host
}

func TestLinesEndWithTheErrorOfTheScanner(t *testing.T) {
	tooLong := strings.NewReader("short\n" + strings.Repeat("long", bufio.MaxScanTokenSize))
	done, err := count(t.Context(), tooLong, func(context.Context, string) error { return nil })
	require.ErrorIs(t, err, bufio.ErrTooLong)
	assert.Equal(t, 1, done)
}

func TestInterruptedLinesDoNotLookComplete(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	endless := io.MultiReader(strings.NewReader("first\n"), neverEnding('\n'))
	_, err := count(ctx, endless, func(context.Context, string) error {
		interrupt()
		return nil
	})
	require.ErrorIs(t, err, await.ErrNotStarted)
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}
