package recipes_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ascompleted/await"
)

// quorum returns the first k values, and cancels the tasks that are left over.
// If fewer than k succeed, the error has those of the others.
func quorum[T any](ctx context.Context, k int, tasks []await.Task[T], opts ...await.Option) ([]T, error) {
	var values []T
	var failed []error
	for i, r := range await.AsCompleted(ctx, tasks, opts...) {
		if r.Err != nil {
			failed = append(failed, fmt.Errorf("task %d: %w", i, r.Err))
			continue
		}
		if values = append(values, r.Value); len(values) == k {
			return values, nil
		}
	}
	return values, fmt.Errorf("%d of %d: %w", len(values), k, errors.Join(failed...))
}

// The first k of n: enough replicas have answered, the others are canceled. For
// k = 1 there is await.First.
//
// Watch out that leaving the loop waits until the others have noticed: a task
// that ignores its context delays the return, unless Detach is among the options.
func Example_quorum() {
	replicas := []string{"rome", "oslo", "lima", "cairo"}
	write := func(ctx context.Context, replica string) (string, error) {
		switch replica {
		case "oslo":
			return "", errors.New("disk full")
		case "cairo": // hangs
			<-ctx.Done()
			return "", context.Cause(ctx)
		}
		return "written", nil
	}

	fmt.Println(quorum(context.Background(), 2, await.Tasks(replicas, write)))
	fmt.Println(quorum(context.Background(), 3, await.Tasks(replicas[:3], write)))
	// Output:
	// [written written] <nil>
	// [written written] 2 of 3: task 1: disk full
}
