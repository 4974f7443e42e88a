package crew

import "context"

// listSource is a list of tasks as the source of a Crew. Their keys are their
// indexes.
type listSource[T any] struct {
	tasks []Task[T]
	next  int
}

func (s *listSource[T]) more() bool { return s.next < len(s.tasks) }

func (s *listSource[T]) take() (index int, task Task[T]) {
	index = s.next
	s.next++
	return index, s.tasks[index]
}

func (s *listSource[T]) drop() (index int, ok bool) {
	index, _ = s.take()
	return index, true
}

// crewOfList readies a run of a list by a Crew.
func crewOfList[T any](ctx context.Context, config *Config, tasks []Task[T], inOrder bool) *Crew[int, T] {
	r := new(struct {
		Crew[int, T]
		list listSource[T]
	})
	r.list.tasks = tasks
	r.init(ctx, config, &r.list, len(tasks), inOrder)
	return &r.Crew
}
