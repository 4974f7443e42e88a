//go:build !explore

package proof_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The oracle contradicts neither itself nor the contract: this adds up what it
// predicts, without knowing how it has come to that.
func TestOracle(t *testing.T) {
	t.Parallel()
	for seed := range *scenarios / 10 {
		s := scenarioOf(fmt.Sprintf("seed %d", seed), choicesOf(seed))
		o := s.predict()
		require.True(t, o.useful(), s.name)
		require.Empty(t, contradictions(s, o.lines), "%s: %v\n%v", s.name, s, &o.history)
	}
}

// contradictions are what must not be in the history of a scenario.
func contradictions(s *scenario, lines []line) (list []string) {
	complain := func(ok bool, format string, args ...any) {
		if !ok {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	running, calls, hooks, results, discards := 0, 0, 0, 0, 0
	for _, l := range lines {
		switch what := l.what; {
		case strings.HasPrefix(what, "task ") && strings.HasSuffix(what, " starts"):
			running++
			complain(running <= cmp.Or(s.within, unlimited), "%d tasks run within the limiter", running)
			complain(running <= cmp.Or(s.limit, unlimited) || s.detach && s.again, "%d tasks run", running)
		case strings.HasPrefix(what, "task "):
			running--
		case strings.HasPrefix(what, "the call ends"):
			calls++
			complain(running == 0 || s.detach, "%d tasks run after the end", running)
		case strings.HasPrefix(what, "OnCancel "):
			hooks++
		case strings.HasPrefix(what, "result "):
			complain(strings.HasPrefix(what, fmt.Sprintf("result %d:", results)), "%s is number %d", what, results)
			results++
		case strings.HasPrefix(what, "discard "):
			complain(strings.HasPrefix(what, fmt.Sprintf("discard %d:", discards)), "%s is number %d", what, discards)
			complain(running == 0, "%s while %d tasks run", what, running)
			discards++
		}
	}
	runs := 1
	if s.again {
		runs = 2
	}
	complain(calls == runs, "%d calls have ended", calls)
	complain(hooks == runs*len(s.hooks), "OnCancel was called %d times", hooks)
	complain(running == 0, "%d tasks never end", running)
	for i := range s.plans {
		starts, ends, successes, yields, reached := 0, 0, 0, 0, 0
		for _, l := range lines {
			starts += strings.Count(l.what, fmt.Sprintf("task %d starts", i))
			successes += strings.Count(l.what, fmt.Sprintf("task %d succeeds", i))
			yields += strings.Count(l.what, fmt.Sprintf("{key:%d ", i))
			if strings.HasPrefix(l.what, fmt.Sprintf("task %d ", i)) {
				ends++
			}
			v := valueOf(i)
			reached += strings.Count(l.what, fmt.Sprintf("value:%d err:}", v)) + strings.Count(l.what, fmt.Sprintf("value %d", v))
			if s.kind == ofGather && strings.HasPrefix(l.what, "the call returns") {
				reached += strings.Count(l.what, fmt.Sprint(v))
			}
		}
		complain(starts <= 1 && ends == 2*starts, "task %d has started %d times, and ended %d times", i, starts, ends-starts)
		complain(yields <= 1, "task %d has yielded %d times", i, yields)
		complain(reached == successes || !s.discards && !s.keeps(), "value %d has reached the caller or OnDiscard %d times", valueOf(i), reached)
	}
	return list
}
