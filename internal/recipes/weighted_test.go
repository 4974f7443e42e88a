package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ascompleted/await"
	"golang.org/x/sync/semaphore"
)

// Tasks of different weight: images need as much memory as they are big, and
// together they get no more than there is. Limit counts tasks, and a semaphore
// inside the task counts megabytes.
//
// Watch out for a task that is heavier than the whole: it waits until its
// context ends. A task that waits for its weight has a slot of Limit, so a
// Limit on top must leave room for those.
func Example_weightedLimit() {
	const total = 100 // megabytes
	memory := semaphore.NewWeighted(total)
	var inUse atomic.Int64
	shrink := func(size int64) (int64, error) {
		defer inUse.Add(-size)
		if inUse.Add(size) > total {
			return 0, errors.New("out of memory")
		}
		time.Sleep(time.Millisecond) // the work
		return size / 10, nil
	}
	task := func(ctx context.Context, size int64) (int64, error) {
		if size > total {
			return 0, errors.New("too big")
		}
		if err := memory.Acquire(ctx, size); err != nil {
			return 0, err
		}
		defer memory.Release(size)
		return shrink(size)
	}

	images := []int64{60, 40, 250, 30, 70, 20}
	for i, r := range await.InOrder(context.Background(), await.Tasks(images, task)) {
		fmt.Println(images[i], r.Value, r.Err)
	}
	// Output:
	// 60 6 <nil>
	// 40 4 <nil>
	// 250 0 too big
	// 30 3 <nil>
	// 70 7 <nil>
	// 20 2 <nil>
}
