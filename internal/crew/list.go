package crew

import "context"

// list is a source of a fixed number of tasks. Their keys are their indexes.
type list[T any] struct {
	tasks []Task[T]
	next  int
}

func (l *list[T]) more() bool { return l.next < len(l.tasks) }

func (l *list[T]) take() (index int, task Task[T]) {
	index = l.next
	l.next++
	return index, l.tasks[index]
}

func (l *list[T]) drop() (index int, ok bool) {
	index, _ = l.take()
	return index, true
}

// OfList readies a run of a list of tasks.
func OfList[T any](ctx context.Context, config *Config, tasks []Task[T], inOrder bool) *Crew[int, T] {
	r := new(struct {
		Crew[int, T]
		list list[T]
	})
	r.list.tasks = tasks
	r.init(ctx, config, &r.list)
	r.bound(len(tasks))
	switch {
	case inOrder:
		r.window = new(window[Item[int, T]])
	case !r.locked:
		first := min(len(tasks), large) // the first result does not wait for memory for all
		r.buffer.results = make([]Item[int, T], 0, first)
		r.buffer.fixed, r.buffer.rest = true, len(tasks)-first
	}
	return &r.Crew
}
