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
	tasks := await.Tasks(inputs, func(ctx context.Context, in In) (struct{}, error) {
		return struct{}{}, fn(ctx, in)
	})
	var failed []error
	for i, r := range await.Settle(ctx, tasks, opts...) {
		if r.Err != nil {
			failed = append(failed, fmt.Errorf("%v: %w", inputs[i], r.Err))
		}
	}
	return errors.Join(failed...)
}

// All that went wrong in one error, in the order of the inputs, where Gather
// would stop at the first. errors.Is and errors.As look into all of it.
//
// Watch out when the context ends: each task that never ran is then an error
// too, an await.ErrNotStarted.
func Example_joinedErrors() {
	check := func(_ context.Context, file string) error {
		switch file {
		case "mail.conf":
			return errors.New("line 7: no host")
		case "web.conf":
			return fs.ErrNotExist
		}
		return nil
	}

	files := []string{"web.conf", "log.conf", "mail.conf"}
	err := each(context.Background(), files, check, await.Limit(8))
	fmt.Println(err)
	fmt.Println("is a file missing?", errors.Is(err, fs.ErrNotExist))
	// Output:
	// web.conf: file does not exist
	// mail.conf: line 7: no host
	// is a file missing? true
}
