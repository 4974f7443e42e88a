package main

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
)

// fast is the idiom without what leaving a loop needs: its goroutines send
// without select, and stay for ever if the loop is left. It is measured, and
// not asked how it behaves.
var fast = peer{
	name:   "fast",
	unfair: "the loop cannot be left",
	finish: func(ctx context.Context, tasks []task, limit int, each func(outcome) bool) {
		results := make(chan outcome, len(tasks))
		var next atomic.Int64
		for range min(limit, len(tasks)) {
			go func() {
				for i := int(next.Add(1)) - 1; i < len(tasks); i = int(next.Add(1)) - 1 {
					value, err := tasks[i](ctx)
					results <- outcome{i, value, err}
				}
			}()
		}
		for range tasks {
			each(<-results)
		}
	},
	finishSeq: func(ctx context.Context, tasks iter.Seq2[int, task], limit int, each func(outcome) bool) {
		jobs := make(chan job, limit)
		go func() {
			for key, task := range tasks {
				jobs <- job{key, task}
			}
			close(jobs)
		}()
		results := make(chan outcome, limit)
		var workers sync.WaitGroup
		for range limit {
			workers.Go(func() {
				for j := range jobs {
					value, err := j.task(ctx)
					results <- outcome{j.key, value, err}
				}
			})
		}
		go func() {
			workers.Wait()
			close(results)
		}()
		for result := range results {
			each(result)
		}
	},
	queue: func(ctx context.Context, fill func(add func(int, task)), limit int, each func(outcome) bool) {
		q := new(handQueue)
		q.more.L = &q.mu
		fill(q.add)
		q.run(ctx, limit, each)
	},
}

// job is an item of a sequence or queue.
type job struct {
	key  int
	task task
}

// A handQueue is a queue by hand: a slice under a mutex, workers that wait on a
// sync.Cond, and a channel of results.
type handQueue struct {
	pending atomic.Int64 // added, and not yet taken by the loop

	mu   sync.Mutex
	more sync.Cond
	jobs []job
	done bool
}

func (q *handQueue) add(key int, t task) {
	q.pending.Add(1)
	q.mu.Lock()
	q.jobs = append(q.jobs, job{key, t})
	q.mu.Unlock()
	q.more.Signal()
}

// next waits for a job, until there will be none.
func (q *handQueue) next() (j job, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.jobs) == 0 && !q.done {
		q.more.Wait()
	}
	if q.done {
		return job{}, false
	}
	j, q.jobs = q.jobs[0], q.jobs[1:]
	return j, true
}

func (q *handQueue) run(ctx context.Context, limit int, each func(outcome) bool) {
	if q.pending.Load() == 0 {
		return
	}
	results := make(chan outcome, limit)
	for range limit {
		go func() {
			for j, ok := q.next(); ok; j, ok = q.next() {
				value, err := j.task(ctx)
				results <- outcome{j.key, value, err}
			}
		}()
	}
	for result := range results {
		each(result)
		if q.pending.Add(-1) == 0 {
			break
		}
	}
	q.mu.Lock()
	q.done = true
	q.mu.Unlock()
	q.more.Broadcast()
}
