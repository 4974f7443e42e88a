package crew

import "sync/atomic"

// List is a source of a fixed number of tasks. A list needs no keys: the
// number of a task is its index.
type List[T any] struct {
	// next is the index of the next task to claim; workers add to it, past
	// the end too. It shares a cache line with Tasks, which every claim also
	// needs.
	next  atomic.Int64
	Tasks []Task[T]
}

// Claim claims the next task.
func (l *List[T]) Claim(*Turn) (n int, _ struct{}, task Task[T], ok bool) {
	n = int(l.next.Add(1) - 1)
	if n >= len(l.Tasks) {
		return n, struct{}{}, nil, false
	}
	return n, struct{}{}, l.Tasks[n], true
}

// More reports whether a task is left.
func (l *List[T]) More(*Turn) bool { return l.next.Load() < int64(len(l.Tasks)) }

// Claimed counts the tasks claimed; the others, from that index on, are not
// started. It is final once the crew has ended.
func (l *List[T]) Claimed() int { return min(int(l.next.Load()), len(l.Tasks)) }

// Shut does nothing: the tasks' context, which has ended, lets no task start.
func (l *List[T]) Shut() {}

// End does nothing.
func (l *List[T]) End() {}
