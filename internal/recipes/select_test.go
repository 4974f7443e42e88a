package recipes_test

import (
	"context"
	"fmt"

	"github.com/ascompleted/await"
)

// finished is a result with the index of its task.
type finished[T any] struct {
	Index int
	await.Result[T]
}

// results sends the results on a channel, which is closed at the end.
func results[T any](ctx context.Context, tasks []await.Task[T], opts ...await.Option) <-chan finished[T] {
	ch := make(chan finished[T])
	go func() {
		defer close(ch)
		for i, r := range await.AsCompleted(ctx, tasks, opts...) {
			ch <- finished[T]{i, r}
		}
	}()
	return ch
}

// A program that waits for other things too needs the results in a select:
// here for the progress that tasks report while they run.
//
// This takes a goroutine, and there is no loop whose end could clean up after it.
// So receive until the channel is closed: then everything has ended. To end it
// sooner, cancel the context, and go on receiving. A task's panic crashes the
// program here, so consider Recover.
func Example_select() {
	parts := make(chan string)
	upload := func(ctx context.Context, file string) (int, error) {
		for n := range 3 {
			select {
			case parts <- file:
			case <-ctx.Done():
				return n, context.Cause(ctx)
			}
		}
		return 3, nil
	}

	files := []string{"film", "song"}
	uploads := results(context.Background(), await.Tasks(files, upload))
	seen := map[string]int{}
	uploaded := map[string]int{}
	for open := true; open; {
		select {
		case file := <-parts:
			seen[file]++
		case r, ok := <-uploads:
			if open = ok; ok && r.Err == nil {
				uploaded[files[r.Index]] = r.Value
			}
		}
	}
	fmt.Println("seen", seen, "uploaded", uploaded)
	// Output:
	// seen map[film:3 song:3] uploaded map[film:3 song:3]
}
