//go:build !explore

package proof_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/tasktest"
)

// epilogue looks at what is left when everything has ended. What is in the
// Queue comes out of it, in order, and all places of the limiter are free.
func (p *performance) epilogue(ctx context.Context) {
	p.closed.Store(true)
	if p.kind == ofQueue {
		left := []outcome{}
		for key, result := range p.queue.AsCompleted(ctx, await.Limit(1)) {
			left = append(left, outcome{key, result.Value, p.name(result.Err)})
		}
		p.results = append(p.results, left...)
		p.mu.Lock()
		p.note(settled, "left in the queue: %+v", left)
		p.mu.Unlock()
	}
	if p.within > 0 {
		var in sync.WaitGroup // it hangs unless all places are free
		in.Add(p.within)
		await.Settle(ctx, tasktest.Copies(p.within, func(context.Context) (int, error) {
			in.Done()
			in.Wait()
			return 0, nil
		}), await.Within(p.limiter))
	}
}

// wrongs are the complaints, and what must not be whatever the scenario.
func (p *performance) wrongs() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	yields, reached := make([]int, len(p.plans)), make([]int, len(p.plans))
	for n, out := range p.results {
		yields[out.key]++
		if out.err == "" {
			reached[out.key]++
		}
		if p.kind.ordered() && out.key != n {
			p.complain("result %d is that of task %d", n, out.key)
		}
	}
	for i, value := range p.values {
		if value != 0 {
			reached[i]++
		}
	}
	for _, value := range p.discarded {
		reached[value-valueOf(0)]++
	}
	for i := range p.plans {
		if p.starts[i] > 1 || yields[i] > 1 || p.mustYield(i) && yields[i] == 0 {
			p.complain("task %d has started %d times, and yields %d times", i, p.starts[i], yields[i])
		}
		if p.discards && p.succeeded[i] && reached[i] != 1 {
			p.complain("value %d has reached the caller or OnDiscard %d times", valueOf(i), reached[i])
		}
	}
	return strings.Join(p.complaints, "\n")
}

// mustYield reports whether a loop, or the epilogue, had to yield task i.
func (p *performance) mustYield(i int) bool {
	raised := p.plans[i].ends == panics || p.plans[i].gives == panics // perhaps
	switch {
	case p.kind == ofQueue:
		return p.added[i] && (p.starts[i] == 0 || !p.detach && (p.recovers || !raised))
	case !p.exhausted:
		return false
	case p.kind.sequence() && p.detach:
		return p.starts[i] > 0
	case p.kind.sequence():
		return i < p.offered
	}
	return true
}

// boom is how something fails, or what it panics with.
type boom struct {
	what string
	s    *scenario
}

// Error names the scenario too, should that crash the program.
func (b boom) Error() string { return b.what + " in " + b.s.name }

func (p *performance) boom(what string) boom { return boom{what, p.scenario} }

var errCaller = errors.New("the caller")

// name is an error, or the value of a panic, in the words of the oracle. Errors
// are known by identity, but for those that match several.
func (p *performance) name(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case boom:
		if v.s == p.scenario {
			return v.what
		}
	case *await.TaskError:
		return failureOf(v.Index, p.name(v.Err))
	case *await.PanicError:
		if value := p.name(v.Value); strings.HasSuffix(value, " is nil") {
			return panicOf(nil, value) // it is a task's, or the sequence's
		}
		return panicOf(v.Key, p.name(v.Value))
	case runtime.Error:
		if strings.Contains(v.Error(), "range function continued iteration") {
			return yieldsAgain
		}
	case error:
		switch v {
		case errCaller: //nolint:errorlint // the very values
			return theCaller
		case await.ErrGoexit:
			return goexit
		case await.ErrStopped:
			return stopped
		}
		ofCaller := errors.Is(v, errCaller) && errors.Is(v, p.caller.Err())
		switch {
		case ofCaller && errors.Is(v, await.ErrNotStarted):
			return notStarted(theCaller)
		case ofCaller:
			return leftBehind(theCaller)
		}
	}
	return p.nameNilTask(fmt.Sprint(v))
}

// nameNilTask is the text of a panic for a nil task, or the text.
func (p *performance) nameNilTask(text string) string {
	for k := range p.plans {
		if strings.HasPrefix(text, "await: ") && strings.HasSuffix(text, fmt.Sprintf("task with key %d is nil", k)) {
			return nilTask(k)
		}
	}
	return text
}
