package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/ascompleted/await"
)

// each calls fn with every input and returns all errors joined, each with its
// input; nil if there are none.
func each[In any](ctx context.Context, inputs []In, fn func(context.Context, In) error, opts ...await.Option) error {
	var failed []error
	for i, r := range await.Settle(ctx, await.Tasks(inputs, await.NoValue(fn)), opts...) {
		if r.Err != nil {
			failed = append(failed, fmt.Errorf("%v: %w", inputs[i], r.Err))
		}
	}
	return errors.Join(failed...)
}

// Functions that return only an error, and all errors joined, in input order.
// errors.Is and errors.As look into all of them.
//
// Watch out when the context ends: each task that never ran then has an error
// too, await.ErrNotStarted.
func Example_allErrors() {
	files := []string{"web.conf", "log.conf", "mail.conf"}
	err := each(context.Background(), files, check, await.Limit(8))
	fmt.Println(err)
	fmt.Println("is a file missing?", errors.Is(err, fs.ErrNotExist))
	// Output:
	// web.conf: file does not exist
	// mail.conf: line 7: no host
	// is a file missing? true
}

// The same, but the first error cancels the rest. The text is that of the error
// alone; the *await.TaskError around it has the index of the task.
func Example_firstError() {
	files := []string{"log.conf", "mail.conf"}
	_, err := await.Gather(context.Background(), await.Tasks(files, await.NoValue(check)), await.Limit(8))
	fmt.Println(err)

	var failed *await.TaskError
	if errors.As(err, &failed) {
		fmt.Println("it was", files[failed.Index])
	}
	// Output:
	// line 7: no host
	// it was mail.conf
}

func check(_ context.Context, file string) error {
	switch file {
	case "mail.conf":
		return errors.New("line 7: no host")
	case "web.conf":
		return fs.ErrNotExist
	}
	return nil
}
