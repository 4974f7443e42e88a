package main

import (
	"context"
	"iter"
	"sync"
)

// idiom is what one writes by hand: a goroutine and a closure per task and a
// buffered channel; with a limit, workers that range over a channel of jobs.
var idiom = peer{
	name:     "idiom",
	identity: "what you send",
	unfair:   "has no protection from panics and Goexit, and does not wait for its goroutines",
	gather: func(ctx context.Context, tasks []task, limit int) ([]int, error) {
		values := make([]int, len(tasks))
		var failed error
		idiomFinish(ctx, tasks, limit, func(r outcome) bool {
			values[r.key] = r.value
			failed = r.err
			return failed == nil
		})
		return values, failed
	},
	finish: idiomFinish,
	inOrder: func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		results := make([]chan outcome, len(tasks))
		for i := range results {
			results[i] = make(chan outcome, 1)
		}
		idiomStart(ctx, tasks, limit, func(r outcome) { results[r.key] <- r })
		for _, result := range results {
			if !each(<-result) {
				return
			}
		}
	},
	finishSeq: func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		type job struct {
			key  int
			task task
		}
		jobs := make(chan job)
		go func() {
			defer close(jobs)
			for key, task := range tasks {
				select {
				case jobs <- job{key, task}:
				case <-ctx.Done():
					return
				}
			}
		}()
		results := make(chan outcome, limit)
		var workers sync.WaitGroup
		for range limit {
			workers.Go(func() {
				for j := range jobs {
					value, err := j.task(ctx)
					select {
					case results <- outcome{j.key, value, err}:
					case <-ctx.Done():
						return
					}
				}
			})
		}
		go func() {
			workers.Wait()
			close(results)
		}()
		for result := range results {
			if !each(result) {
				return
			}
		}
	},
	inOrderSeq: func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		queue := make(chan chan outcome, limit-1) // and one is the loop's: at most limit tasks run
		go func() {
			defer close(queue)
			for key, task := range tasks {
				result := make(chan outcome, 1)
				select {
				case queue <- result:
				case <-ctx.Done():
					return
				}
				go func() {
					value, err := task(ctx)
					result <- outcome{key, value, err}
				}()
			}
		}()
		for result := range queue {
			if !each(<-result) {
				return
			}
		}
	},
	nested: func(inner func()) {
		places := make(chan struct{}, 1)
		var group sync.WaitGroup
		limited := func(f func()) {
			places <- struct{}{}
			defer func() { <-places }()
			f()
		}
		group.Go(func() {
			limited(func() {
				var group sync.WaitGroup
				group.Go(func() { limited(inner) })
				group.Wait()
			})
		})
		group.Wait()
	},
}

func idiomFinish(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan outcome, len(tasks))
	idiomStart(ctx, tasks, limit, func(r outcome) { results <- r })
	for range tasks {
		if !each(<-results) {
			return
		}
	}
}

// idiomStart starts the tasks and calls put with what they return.
func idiomStart(ctx context.Context, tasks []task, limit int, put func(outcome)) {
	if limit == 0 {
		for i, task := range tasks {
			go func() {
				value, err := task(ctx)
				put(outcome{i, value, err})
			}()
		}
		return
	}
	jobs := make(chan int)
	for range limit {
		go func() {
			for i := range jobs {
				value, err := tasks[i](ctx)
				put(outcome{i, value, err})
			}
		}()
	}
	go func() {
		defer close(jobs)
		for i := range tasks {
			select {
			case jobs <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
}
