package main

import (
	"context"

	"github.com/samber/lo/parallel"
)

// loPeer is github.com/samber/lo/parallel.
var loPeer = peer{
	name:     "lo",
	identity: "order",
	noLimit:  true,
	noErrors: true,
	unfair:   "has no limit, no errors and no context: every task runs, whatever the others return",
	gather: func(ctx context.Context, tasks []task, _ int) ([]int, error) {
		results := parallel.Map(tasks, func(task task, i int) outcome {
			value, err := task(ctx)
			return outcome{i, value, err}
		})
		values := make([]int, len(results))
		for i, result := range results {
			if result.err != nil {
				return values, result.err
			}
			values[i] = result.value
		}
		return values, nil
	},
}
