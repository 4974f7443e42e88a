package crew

import "context"

// Queue has tasks that are added while others run. It outlives its runs: what
// one has not started, and the results that its loop has not read, are there
// for the next.
type Queue[K, T any] struct {
	mu    mutex             // guards the queue, and its run
	tasks fifo[entry[K, T]] // that have not started
	kept  []Item[K, T]      // results that no loop has read, while there is no run
	run   *Crew[K, T]       // of the loop that ranges over the queue; nil if none
}

// Add puts a task at the end of the queue.
func (q *Queue[K, T]) Add(key K, task Task[T]) {
	q.mu.Lock()
	q.tasks.put(entry[K, T]{key, task})
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
	n := q.tasks.count + len(q.kept)
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
	r.init(ctx, config, queued[K, T]{q}, Unlimited, false)
	r.locked = true // for Len
	q.mu.Lock()
	busy := q.run != nil
	if !busy {
		q.run = r
		if q.kept != nil {
			r.buffer.results, r.unread = q.kept, len(q.kept)
			q.kept = nil
		}
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

func (q queued[K, T]) more() bool { return q.tasks.count > 0 }

func (q queued[K, T]) take() (key K, task Task[T]) {
	e := q.tasks.take()
	return e.key, e.task
}

// drop drops nothing: what has not started stays in the queue.
func (q queued[K, T]) drop() (key K, ok bool) { return key, false }
