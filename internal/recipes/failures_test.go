package recipes_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ascompleted/await"
)

// Stop after n failures: one bad row is no reason to give up, three are. The loop
// counts, and its break cancels the rest.
//
// Watch out to set a Limit: without one, everything has started before the first
// failure is seen. With Limit(n) and Buffer(b), at most n + b tasks have started
// beyond the result in hand; the default of Buffer has room for all of a list.
func Example_stopAfterFailures() {
	started := 0
	insert := func(_ context.Context, row int) (struct{}, error) {
		started++ // one at a time, because of the limit
		if row%3 == 0 {
			return struct{}{}, fmt.Errorf("row %d: no such table", row)
		}
		return struct{}{}, nil
	}

	var failed []error
	for _, r := range await.AsCompleted(context.Background(), await.Times(1000, insert), await.Limit(1), await.Buffer(0)) {
		if r.Err == nil {
			continue
		}
		if failed = append(failed, r.Err); len(failed) == 3 {
			break
		}
	}
	fmt.Println(errors.Join(failed...))
	fmt.Println("most rows were not tried:", started < 10)
	// Output:
	// row 0: no such table
	// row 3: no such table
	// row 6: no such table
	// most rows were not tried: true
}
