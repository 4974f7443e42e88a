package crew

import "context"

// Gather runs the tasks and fills values, one for each of them, unless a task
// fails: it returns the first error in time.
//
// It runs no task on the caller's goroutine, though that would be faster still
// for a few: a task's runtime.Goexit would take the caller with it.
func Gather[T any](ctx context.Context, config *Config, tasks []Task[T], values []T) error {
	return collect(ctx, config, tasks, slots[T]{values, nil})
}

// Settle runs the tasks and fills values and errs, one for each of them.
func Settle[T any](ctx context.Context, config *Config, tasks []Task[T], values []T, errs []error) {
	_ = collect(ctx, config, tasks, slots[T]{values, errs}) // nothing fails
}

// slots has the results of a list that nobody reads before the end.
type slots[T any] struct {
	values []T     // of the tasks, by index
	errs   []error // likewise; nil if the first error stops the run
}

// failFast reports whether the first error stops the run.
func (s *slots[T]) failFast() bool { return s.errs == nil }

// put fills the slot of task n. Workers call it for different slots at once.
func (s *slots[T]) put(n int, value T, err error) {
	if s.errs != nil {
		s.values[n], s.errs[n] = value, err
	} else if err == nil {
		s.values[n] = value
	}
}

func collect[T any](ctx context.Context, config *Config, tasks []Task[T], s slots[T]) error {
	if needsCrew(config) {
		return s.collectLoop(ctx, config, tasks)
	}
	r := new(struct {
		list[T]
		slots slots[T]
	})
	r.slots = s
	l := &r.list
	l.init(ctx, config, tasks)
	l.slots = &r.slots
	defer l.Stop()
	l.Start()
	l.mu.Lock()
	for l.workers > 0 {
		l.awaitNews()
	}
	l.mu.Unlock()
	if next := int(l.next.Load()); next < len(tasks) && l.failed == nil {
		err := l.unstarted()
		l.failed = config.Errors.Failed(next, err)
		var none T
		for n := next; n < len(tasks); n++ {
			s.put(n, none, err)
		}
	}
	return l.failed
}

// collectLoop fills the slots by a loop, for calls that may end before their
// tasks, that share a limiter, or in which it matters in which order tasks
// finish.
func (s *slots[T]) collectLoop(ctx context.Context, config *Config, tasks []Task[T]) error {
	unbuffered := *config
	unbuffered.Buffer = Unset // nobody reads before the end
	c := crewOfList(ctx, &unbuffered, tasks, false)
	c.failFast = s.failFast()
	var collected []T
	if config.OnDiscard != nil {
		c.collected = &collected
	}
	defer c.Stop()
	c.Start()
	for item, ok := c.Next(); ok; item, ok = c.Next() {
		s.put(item.Key, item.Value, item.Err)
		switch {
		case item.Err == nil && c.collected != nil:
			collected = append(collected, item.Value)
		case item.Err != nil && c.failFast: // of a task that was left behind, or never ran; else it is known already
			c.mu.Lock()
			c.fail(item.Key, item.Err)
			c.mu.Unlock()
		}
	}
	c.mu.Lock() // after a panic, tasks still run
	defer c.mu.Unlock()
	return c.failed
}
