package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// questions are the columns of the table. Each probe runs in a process of its
// own.
var questions = []struct {
	name  string
	probe func(p *peer) string
}{
	{"Panic", probePanic},
	{"Goexit", probeGoexit},
	{"First error", probeError},
	{"Left early", probeLeave},
	{"Nested", probeNested},
	{"Whose result", func(p *peer) string { return p.identity }},
	{"Slow loop", probeSlow},
}

// boom is what the task of probePanic panics with.
const boom = "boom"

func panicking(context.Context) (int, error) { panic(boom) }

func exiting(context.Context) (int, error) {
	runtime.Goexit()
	return 0, nil
}

func probePanic(p *peer) (answer string) {
	defer func() {
		if value := recover(); value != nil {
			answer = "raised at the caller" + stackIn(fmt.Sprint(value))
		}
	}()
	if err := second(p, panicking); err != nil {
		return "an error" + stackIn(err.Error())
	}
	time.Sleep(time.Second / 2) // a crash may be on its way: deferred functions come first
	return "no error, value 0"
}

// stackIn tells whether a text shows where the task has panicked.
func stackIn(text string) string {
	if strings.Contains(text, ".panicking(") {
		return ", with its stack"
	}
	return ", without a stack"
}

func probeGoexit(p *peer) string {
	err := second(p, exiting)
	switch {
	case err == nil:
		return "no error, value 0"
	case strings.Contains(err.Error(), "Goexit"):
		return "an error that names it"
	}
	return "an error: " + err.Error()
}

// second runs three tasks of which the second is t.
func second(p *peer, t task) error {
	tasks := list(3, makeTask("empty"))
	tasks[1] = t
	_, err := p.collect(context.Background(), tasks, 0)
	return err
}

func probeError(p *peer) string {
	if p.noErrors {
		return "takes no errors"
	}
	least, most := int64(10), int64(0)
	for range 20 {
		var started atomic.Int64
		tasks := list(10, func(context.Context) (int, error) {
			started.Add(1)
			return 1, nil
		})
		tasks[0] = func(context.Context) (int, error) {
			started.Add(1)
			return 0, errors.New("failed")
		}
		if _, err := p.collect(context.Background(), tasks, 1); err == nil {
			return "no error"
		}
		settle(&started) // not everybody waits for what runs
		least, most = min(least, started.Load()), max(most, started.Load())
	}
	if least < most {
		return fmt.Sprintf("%d to %d of 10 start", least, most)
	}
	return fmt.Sprintf("%d of 10 start", most)
}

func probeLeave(p *peer) string {
	loop := p.loop()
	if loop == nil {
		return "has no loop"
	}
	const n = 4
	// Pools that are made once are not what is asked about.
	loop(context.Background(), list(n, makeTask("empty")), n, func(outcome) bool { return true })
	time.Sleep(time.Second / 2)
	before := runtime.NumGoroutine()

	var started sync.WaitGroup
	started.Add(n)
	var canceled, running atomic.Int64
	tasks := list(n, func(ctx context.Context) (int, error) {
		running.Add(1)
		defer running.Add(-1)
		started.Done()
		select {
		case <-ctx.Done():
			canceled.Add(1)
			time.Sleep(time.Second / 10) // a loop that does not wait is gone by then
		case <-time.After(2 * time.Second):
		}
		return 1, nil
	})
	tasks[0] = func(context.Context) (int, error) {
		started.Done()
		started.Wait()
		return 1, nil
	}
	loop(context.Background(), tasks, n, func(outcome) bool { return false })
	still := running.Load()
	time.Sleep(time.Second)
	left := max(runtime.NumGoroutine()-before, 0)

	answer := "canceled"
	if canceled.Load() < n-1 {
		answer = "not canceled"
	}
	if still > 0 {
		answer += ", not awaited"
	} else {
		answer += ", awaited"
	}
	if left > 0 {
		answer += fmt.Sprintf(", %d leak", left)
	} else {
		answer += ", no leak"
	}
	return answer + p.ownCode()
}

func probeNested(p *peer) (answer string) {
	if p.nested == nil {
		return "no shared limit"
	}
	defer func() {
		if recover() != nil {
			answer = "**panics**"
		}
	}()
	ran := false
	p.nested(func() { ran = true })
	if !ran {
		return "does not run"
	}
	return "finishes"
}

func probeSlow(p *peer) string {
	if p.loop() == nil {
		return "has no loop"
	}
	var started atomic.Int64
	t := func(context.Context) (int, error) {
		started.Add(1)
		return 1, nil
	}
	var seen int64
	slow := func(outcome) bool {
		settle(&started)
		seen = started.Load()
		return false
	}
	p.loop()(context.Background(), list(100, t), 4, slow)
	answer := fmt.Sprintf("%d of 100", seen)
	if loop := p.loopSeq(); loop != nil {
		started.Store(0)
		loop(context.Background(), sequence(1000, t), 4, slow)
		answer += fmt.Sprintf(", %d of 1000", seen)
	} else {
		answer += ", no sequences"
	}
	return answer + p.ownCode()
}

// settle returns when a counter has not changed for a while.
func settle(counter *atomic.Int64) {
	for last := int64(-1); last != counter.Load(); time.Sleep(50 * time.Millisecond) {
		last = counter.Load()
	}
}

// ownCode marks what the library does not do itself.
func (p *peer) ownCode() string {
	if p.ownChannel || p.noErrors {
		return " (own code)"
	}
	return ""
}
