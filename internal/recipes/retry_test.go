package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ascompleted/await"
	"github.com/cenkalti/backoff/v5"
)

// retrying makes of fn a function that tries again, with exponential backoff,
// unless the error is a backoff.Permanent one or the context ends.
func retrying[In, T any](fn func(context.Context, In) (T, error)) func(context.Context, In) (T, error) {
	return func(ctx context.Context, in In) (T, error) {
		pauses := backoff.NewExponentialBackOff()
		pauses.InitialInterval = time.Millisecond
		return backoff.Retry(ctx,
			func() (T, error) { return fn(ctx, in) },
			backoff.WithBackOff(pauses),
			backoff.WithMaxTries(4),
		)
	}
}

// Each task tries again on its own while the others go on.
//
// Watch out that a backoff has a state that changes: every task needs its own,
// or tasks race for it. A task keeps its slot of Limit during the pauses, which is
// kind to a server that is in trouble.
func Example_retry() {
	var attempts atomic.Int32
	load := func(_ context.Context, page string) (string, error) {
		switch {
		case page == "/gone":
			return "", backoff.Permanent(errors.New("404 Not Found"))
		case page == "/busy" && attempts.Add(1) < 3:
			return "", errors.New("503 Service Unavailable")
		}
		return "the page " + page, nil
	}

	pages := []string{"/home", "/busy", "/gone"}
	for i, r := range await.InOrder(context.Background(), await.Tasks(pages, retrying(load))) {
		fmt.Printf("%s: %q %v\n", pages[i], r.Value, r.Err)
	}
	fmt.Println("attempts to load /busy:", attempts.Load())
	// Output:
	// /home: "the page /home" <nil>
	// /busy: "the page /busy" <nil>
	// /gone: "" 404 Not Found
	// attempts to load /busy: 3
}
