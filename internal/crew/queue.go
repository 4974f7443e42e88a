package crew

import (
	"context"
	"slices"
)

// Queue has tasks that are added while others run. It outlives its runs: what
// one has not started, and the results that its loop has not read, are there
// for the next.
type Queue[K, T any] struct {
	mu    mutex         // guards the queue, and its run
	tasks []entry[K, T] // that have not started, from first on
	first int           // the entries before are empty
	kept  []Item[K, T]  // results that no loop has read, while there is no run
	run   *Crew[K, T]   // of the loop that ranges over the queue; nil if none
}

// Add puts a task at the end of the queue.
func (q *Queue[K, T]) Add(key K, task Task[T]) {
	q.mu.Lock()
	q.tasks = append(q.tasks, entry[K, T]{key, task})
	run := q.run
	launch := run != nil && run.addWorker()
	q.mu.Unlock()
	if launch {
		spawn(run.body)
	}
}

// Len counts the tasks that were added and whose results no loop has read.
func (q *Queue[K, T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.tasks) - q.first + len(q.kept)
	if q.run != nil {
		n += q.run.unread
	}
	return n
}

// OfQueue readies a run of a queue. It returns nil if another loop ranges over
// the queue.
func OfQueue[K, T any](ctx context.Context, config *Config, q *Queue[K, T]) *Crew[K, T] {
	r := new(Crew[K, T])
	r.mu = &q.mu
	r.queue = q
	r.labels = true // Add launches workers, and so does code of the user's
	r.init(ctx, config, queued[K, T]{q})
	r.bound(Unlimited)
	r.locked = true // for Len
	q.mu.Lock()
	busy := q.run != nil
	if !busy {
		q.run = r
		r.buffer.results, r.unread = q.kept, len(q.kept)
		q.kept = nil
	}
	q.mu.Unlock()
	if busy {
		r.cancel(config.Errors.Stopped)
		return nil
	}
	return r
}

// queued is a queue as the source of a run.
type queued[K, T any] struct{ *Queue[K, T] }

func (q queued[K, T]) more() bool { return q.first < len(q.tasks) }

func (q queued[K, T]) take() (key K, task Task[T]) {
	e := q.tasks[q.first]
	q.tasks[q.first] = entry[K, T]{}
	q.first++
	if 2*q.first >= len(q.tasks) { // moves no more entries than were taken since the last time
		left := copy(q.tasks, q.tasks[q.first:])
		clear(q.tasks[left:])
		q.tasks, q.first = q.tasks[:left], 0
		if cap(q.tasks) > large && left < cap(q.tasks)/4 {
			q.tasks = slices.Clone(q.tasks) // gives back the memory of a burst
		}
	}
	return e.key, e.task
}

// drop drops nothing: what has not started stays in the queue.
func (q queued[K, T]) drop() (key K, ok bool) { return key, false }
