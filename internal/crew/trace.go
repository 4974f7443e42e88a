package crew

import (
	"context"
	"runtime/trace"
	"sync"
	"sync/atomic"
)

// traced is a call as an execution trace shows it. The trace's task is made
// when the first task is traced, which need not be the call's first: traces
// are switched on at any time.
type traced struct{ p atomic.Pointer[tracedCall] }

type tracedCall struct {
	once sync.Once
	ctx  context.Context // of the tasks, as part of the trace's task
	task *trace.Task
}

// begin returns the context of a traced task.
func (t *traced) begin(ctx context.Context, name string) context.Context {
	if t.p.Load() == nil {
		t.p.CompareAndSwap(nil, new(tracedCall))
	}
	return t.p.Load().begin(ctx, name)
}

func (t *tracedCall) begin(ctx context.Context, name string) context.Context {
	t.once.Do(func() {
		if name == "" {
			name = "await"
		}
		t.ctx, t.task = trace.NewTask(ctx, name)
	})
	return t.ctx
}

// end ends the trace's task, if there is one.
func (t *traced) end(ctx context.Context, name string) {
	if call := t.p.Load(); call != nil {
		call.begin(ctx, name) // with Detach, a task may be about to
		call.task.End()
	}
}

// traceTask returns the context of task n while an execution trace is on, and
// the region as which the trace shows it.
func (r *run) traceTask(n int) (context.Context, *trace.Region) {
	ctx := r.traced.begin(r.ctx, r.config.Name)
	region := trace.StartRegion(ctx, "await.task")
	trace.Logf(ctx, "task", "%d", n)
	return ctx, region
}
