package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
)

// A keyed result is a result with the key it is of.
type keyed[K, T any] struct {
	Key K
	await.Result[T]
}

// batches yields results n at a time, as soon as n are there. The last batch may
// be smaller.
func batches[K, T any](n int, results iter.Seq2[K, await.Result[T]]) iter.Seq[[]keyed[K, T]] {
	return func(yield func([]keyed[K, T]) bool) {
		var batch []keyed[K, T]
		for key, r := range results {
			if batch = append(batch, keyed[K, T]{key, r}); len(batch) < n {
				continue
			}
			if !yield(batch) {
				return
			}
			batch = nil
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}

// Batches of n as they complete: where writing one by one is slow, as into a
// database, write n results at a time.
//
// Watch out that a batch waits until it is full: a fast result may wait for a slow
// one. If that matters, take the results from a channel (select_test.go) and hand
// the batch over when a ticker fires, too.
func Example_batches() {
	measure := func(_ context.Context, sensor string) (int, error) {
		if sensor == "c" {
			return 0, errors.New("no signal")
		}
		return int(sensor[0]), nil
	}
	sensors := []string{"a", "b", "c", "d", "e"}

	ctx := context.Background()
	results := await.InOrderSeq(ctx, await.TaskSeq(slices.Values(sensors), measure), await.Limit(8))
	for batch := range batches(2, results) {
		rows := map[string]int{} // one INSERT for all
		for _, r := range batch {
			if r.Err != nil {
				fmt.Println(r.Key, r.Err)
				continue
			}
			rows[r.Key] = r.Value
		}
		fmt.Println("insert", rows)
	}
	// Output:
	// insert map[a:97 b:98]
	// c no signal
	// insert map[d:100]
	// insert map[e:101]
}

func TestABatchDoesNotWaitForSlowTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleep := func(_ context.Context, d time.Duration) (time.Duration, error) {
			time.Sleep(d)
			return d, nil
		}
		tasks := await.Tasks([]time.Duration{5, 1, 4, 2, 3}, sleep)
		began := time.Now()
		full := map[time.Duration][]int{}
		for batch := range batches(2, await.AsCompleted(t.Context(), tasks)) {
			for _, r := range batch {
				full[time.Since(began)] = append(full[time.Since(began)], r.Key)
			}
		}
		assert.Equal(t, map[time.Duration][]int{2: {1, 3}, 4: {4, 2}, 5: {0}}, full)
	})
}

func TestLeavingALoopOverBatchesCancelsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		}
		quick := func(context.Context) (int, error) { return 7, nil }
		tasks := maps.All(map[string]await.Task[int]{"hangs": hang, "quick": quick})
		for batch := range batches(1, await.AsCompletedSeq(t.Context(), tasks)) {
			assert.Equal(t, []keyed[string, int]{{"quick", await.Result[int]{Value: 7}}}, batch)
			break
		}
	})
}
