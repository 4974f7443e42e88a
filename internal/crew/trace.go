package crew

import (
	"context"
	"runtime/trace"
	"sync"
)

// traced is the call as an execution trace shows it.
type traced struct {
	once sync.Once
	ctx  context.Context // of the tasks, as part of the trace's task
	task *trace.Task
}

// trace runs a task as a region of the execution trace.
func (c *Crew[K, T]) trace(n int, task Task[T]) (T, error) {
	ctx := c.beginTrace()
	defer trace.StartRegion(ctx, "await.task").End()
	trace.Logf(ctx, "task", "%d", n)
	return task(ctx)
}

// beginTrace makes the trace's task when the first task is traced, which need
// not be the call's first: traces are switched on at any time.
func (c *Crew[K, T]) beginTrace() context.Context {
	c.traced.CompareAndSwap(nil, new(traced))
	t := c.traced.Load()
	t.once.Do(func() {
		name := c.config.Name
		if name == "" {
			name = "await"
		}
		t.ctx, t.task = trace.NewTask(c.ctx, name)
	})
	return t.ctx
}

// endTrace ends the trace's task, if there is one.
func (c *Crew[K, T]) endTrace() {
	if t := c.traced.Load(); t != nil {
		c.beginTrace() // with Detach a task may be about to
		t.task.End()
	}
}
