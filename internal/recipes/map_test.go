package recipes_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/ascompleted/await"
)

// collect puts the values of all results into a map. The first error cancels the
// tasks that still run.
func collect[K comparable, T any](results iter.Seq2[K, await.Result[T]]) (map[K]T, error) {
	values := map[K]T{}
	for key, r := range results {
		if r.Err != nil {
			return nil, fmt.Errorf("%v: %w", key, r.Err)
		}
		values[key] = r.Value
	}
	return values, nil
}

// Results into a map, by their input. The body of the loop is one goroutine, so
// the map needs no lock.
//
// If the context ends too early, one of the results is an error, so half a map
// is not taken for the whole. Watch out that equal inputs share one key.
//
// To keep errors beside values, maps.Collect of the same loop makes a
// map[string]await.Result[int]. For a map of named tasks, await.AsCompletedSeq
// takes maps.All of it.
func Example_intoAMap() {
	words := slices.Values([]string{"one", "three", "seven"})
	length := func(_ context.Context, word string) (int, error) { return len(word), nil }

	lengths, err := collect(await.AsCompletedSeq(context.Background(), await.TaskSeq(words, length), await.Limit(8)))
	fmt.Println(lengths, err)

	named := map[string]await.Task[int]{
		"Ada": func(context.Context) (int, error) { return 36, nil },
		"Bob": func(context.Context) (int, error) { return 41, nil },
	}
	ages, err := collect(await.AsCompletedSeq(context.Background(), maps.All(named)))
	fmt.Println(ages, err)
	// Output:
	// map[one:3 seven:5 three:5] <nil>
	// map[Ada:36 Bob:41] <nil>
}
