package crew

import "context"

// slots is a list of tasks whose results nobody reads before the end. Here a
// worker takes the lock only to begin, to launch another and to leave: beside
// the lock, the index of the next task is an atomic counter. (With the counter
// under the lock a gather of 100,000 empty tasks takes 2.4 times as long; but
// for a loop, where putting a result needs the lock anyway, taking the next
// task in the same step is what is fast.)
type slots[T any] struct {
	tasks  []Task[T]
	values []T     // of the tasks, by index
	errs   []error // likewise; nil if the first error stops the run

	next atomicInt64 // the index of the next task; workers add to it, past the end too
	full atomicBool  // nobody is to be launched: a worker is starting, or the limit is reached
}

// put fills the slot of task n. Workers call it for different slots at once.
func (s *slots[T]) put(n int, value T, err error) {
	if s.errs != nil {
		s.values[n], s.errs[n] = value, err
	} else if err == nil {
		s.values[n] = value
	}
}

// Gather runs the tasks and fills values, one for each of them, unless a task
// fails: it returns the first error in time.
//
// It runs no task on the caller's goroutine, though that would be faster still
// for a few: a task's runtime.Goexit would take the caller with it.
func Gather[T any](ctx context.Context, config *Config, tasks []Task[T], values []T) error {
	return collect(ctx, config, tasks, values, nil)
}

// Settle runs the tasks and fills values and errs, one for each of them.
func Settle[T any](ctx context.Context, config *Config, tasks []Task[T], values []T, errs []error) {
	_ = collect(ctx, config, tasks, values, errs) // nothing fails
}

func collect[T any](ctx context.Context, config *Config, tasks []Task[T], values []T, errs []error) error {
	if config.Limiter != nil || config.Detach || config.OnDiscard != nil {
		s := slots[T]{tasks: tasks, values: values, errs: errs}
		return s.collectLoop(ctx, config)
	}
	r := new(struct {
		Crew[int, T]
		slots slots[T]
	})
	s := &r.slots
	s.tasks, s.values, s.errs = tasks, values, errs
	r.init(ctx, config, nil)
	r.Crew.slots = s
	r.failFast = errs == nil
	r.collect()
	return r.failed
}

// collect runs the tasks of the slots.
func (c *Crew[K, T]) collect() {
	defer c.Stop()
	if c.config.OnCancel != nil {
		c.watch()
	}
	s := c.slots
	if len(s.tasks) > 0 {
		c.workers = 1
		spawn(c.body)
		c.mu.Lock()
		for c.workers > 0 {
			c.reading = true
			c.news.Wait()
		}
		c.mu.Unlock()
	}
	if next := int(s.next.Load()); next < len(s.tasks) && c.failed == nil {
		c.unstartedSlots(next)
	}
}

// unstartedSlots fills the slots of the tasks that never ran, from next on.
func (c *Crew[K, T]) unstartedSlots(next int) {
	err := c.config.Errors.NotStarted(c.cause())
	c.failed = c.config.Errors.Failed(next, err)
	var none T
	for n := next; n < len(c.slots.tasks); n++ {
		c.slots.put(n, none, err)
	}
}

// stepSlots is step for slots.
func (c *Crew[K, T]) stepSlots(w *worker[K, T]) (task Task[T], ok bool) {
	s := c.slots
	if w.started {
		c.putSlot(w)
	} else {
		w.started = true
		c.mu.Lock()
		s.full.Store(c.workers == c.config.Limit)
		c.mu.Unlock()
	}
	c.askParent()
	if c.ctx.Err() == nil {
		if n := int(s.next.Add(1)) - 1; n < len(s.tasks) {
			if n+1 < len(s.tasks) && !s.full.Load() {
				c.addSlotWorker()
			}
			w.n = n
			return s.tasks[n], true
		}
	}
	c.mu.Lock()
	c.workers--
	if c.workers == 0 {
		c.tellLoop()
	}
	c.mu.Unlock()
	return nil, false
}

// putSlot puts the result of w into its slot.
func (c *Crew[K, T]) putSlot(w *worker[K, T]) {
	c.slots.put(w.n, w.item.Value, w.item.Err)
	if w.item.Err != nil && c.failFast {
		c.mu.Lock()
		c.fail(w.n, w.item.Err)
		c.mu.Unlock()
		c.cancel(c.failed)
	}
	w.item = Item[K, T]{}
}

// addSlotWorker is addWorker for slots, and launches.
func (c *Crew[K, T]) addSlotWorker() {
	s := c.slots
	c.mu.Lock()
	launch := !s.full.Load()
	if launch {
		c.workers++
		s.full.Store(true)
	}
	c.mu.Unlock()
	if launch {
		spawn(c.body)
	}
}

// brokenSlot is broken for slots: another worker takes the place of w.
func (c *Crew[K, T]) brokenSlot(w *worker[K, T]) {
	c.putSlot(w) // after a panic that is raised, nobody reads it
	spawn(c.body)
}

// collectLoop fills the slots by a loop, for calls that may end before their
// tasks, that share a limiter, or in which it matters in which order tasks
// finish.
func (s *slots[T]) collectLoop(ctx context.Context, config *Config) error {
	unbuffered := *config
	unbuffered.Buffer = Unset // nobody reads before the end
	c := OfList(ctx, &unbuffered, s.tasks, false)
	c.failFast = s.errs == nil
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
