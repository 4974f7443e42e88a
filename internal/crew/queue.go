package crew

import (
	"slices"
	"sync"
)

// Queue has tasks that are added while others run. It outlives its runs: what
// one has not claimed is there for the next.
type Queue[K, T any] struct {
	mu      sync.Mutex      // guards the queue and its run; not held across anything that blocks
	waiting []entry[K, T]   // from first on
	first   int             // the entries before are empty
	open    int             // tasks claimed whose results the loop has not taken
	run     *QueueRun[K, T] // of the loop that ranges over the queue; nil if none
}

type entry[K, T any] struct {
	key  K
	task Task[T]
}

// Add puts a task at the end of the queue.
func (q *Queue[K, T]) Add(key K, task Task[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, entry[K, T]{key, task})
	if q.run != nil && !q.run.shut {
		q.run.crew.hire()
	}
}

// Len counts the tasks added whose results the loop has not taken.
func (q *Queue[K, T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.len()
}

// len is Len under the lock.
func (q *Queue[K, T]) len() int { return len(q.waiting) - q.first + q.open }

// QueueRun is a queue as the source of one crew.
type QueueRun[K, T any] struct {
	queue *Queue[K, T]
	crew  *Crew[K, T]

	// Guarded by queue.mu.
	claimed int
	shut    bool // nothing is claimed any more
}

// Init readies the source.
func (r *QueueRun[K, T]) Init(queue *Queue[K, T], crew *Crew[K, T]) {
	r.queue, r.crew = queue, crew
}

// Start starts the crew, in place of Crew.Start. Until Shut, the crew's live
// counts the queue too: a queue that has run empty does not end the run,
// because more may come. Start reports false if another loop ranges over the
// queue.
func (r *QueueRun[K, T]) Start() bool {
	q := r.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.run != nil {
		return false
	}
	q.run = r
	config := *r.crew.config
	config.held = 1
	r.crew.config = &config
	r.crew.live.Store(1)
	if q.first < len(q.waiting) {
		r.crew.hire()
	}
	return true
}

// Took tells that the loop has taken a result.
func (r *QueueRun[K, T]) Took() {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	r.queue.open--
}

// Leave follows Crew.Stop. Results that the loop has not taken are gone.
func (r *QueueRun[K, T]) Leave() {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	r.queue.run, r.queue.open = nil, 0
}

// Claim claims the first task that waits.
func (r *QueueRun[K, T]) Claim(turn *Turn) (n int, key K, task Task[T], ok bool) {
	q := r.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if !r.more(turn) {
		return n, key, nil, false
	}
	e := q.waiting[q.first]
	q.waiting[q.first] = entry[K, T]{}
	q.first++
	if 2*q.first >= len(q.waiting) { // moves no more entries than were claimed since the last time
		left := copy(q.waiting, q.waiting[q.first:])
		clear(q.waiting[left:])
		q.waiting, q.first = q.waiting[:left], 0
		if cap(q.waiting) > 1024 && 4*left < cap(q.waiting) {
			q.waiting = slices.Clone(q.waiting) // the memory of a large backlog goes back
		}
	}
	q.open++
	n = r.claimed
	r.claimed++
	return n, e.key, e.task, true
}

// More reports whether a task waits. If none does, a worker is dismissed.
func (r *QueueRun[K, T]) More(turn *Turn) bool {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	return r.more(turn)
}

// more is More under the lock.
func (r *QueueRun[K, T]) more(turn *Turn) bool {
	if r.shut {
		return false
	}
	if r.queue.first == len(r.queue.waiting) {
		if turn != nil {
			r.crew.Dismiss() // not the last: live counts the queue
			turn.dismissed = true
		}
		return false
	}
	return true
}

// Done reports whether nothing is left, and if so shuts the queue in the same
// step: what is added later is for the next loop.
func (r *QueueRun[K, T]) Done() bool {
	r.queue.mu.Lock()
	done := r.queue.len() == 0
	last := done && r.shutNow()
	r.queue.mu.Unlock()
	if last {
		r.crew.Finish()
	}
	return done
}

// Shut lets nothing be claimed any more.
func (r *QueueRun[K, T]) Shut() {
	r.queue.mu.Lock()
	last := r.shutNow()
	r.queue.mu.Unlock()
	if last {
		r.crew.Finish()
	}
}

// shutNow is Shut under the lock. It reports whether Finish is to be called.
func (r *QueueRun[K, T]) shutNow() (last bool) {
	last = !r.shut && r.crew.Dismiss() // of the queue's own place
	r.shut = true
	return last
}

// End does nothing.
func (r *QueueRun[K, T]) End() {}
