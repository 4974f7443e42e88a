//go:build !explore

package proof_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A history is what happens in a scenario. Lines of the same moment have no
// order; those that need one contain a number.
type history struct{ lines []line }

type line struct {
	at   time.Duration
	what string
}

func (l line) compare(other line) int {
	return cmp.Or(cmp.Compare(l.at, other.at), strings.Compare(l.what, other.what))
}

func (l line) String() string { return fmt.Sprintf("%v %s", l.at, l.what) }

func (h *history) note(at time.Duration, format string, args ...any) {
	h.lines = append(h.lines, line{at, fmt.Sprintf(format, args...)})
}

func (h *history) String() string {
	var text strings.Builder
	for _, l := range h.sorted() {
		fmt.Fprintln(&text, l)
	}
	return text.String()
}

func (h *history) sorted() []line {
	return slices.SortedFunc(slices.Values(h.lines), line.compare)
}

// diff marks with - what only h has, and with + what only other has. It is
// empty if they are equal.
func (h *history) diff(other *history) string {
	mine, its := h.sorted(), other.sorted()
	if slices.Equal(mine, its) {
		return ""
	}
	var text strings.Builder
	for len(mine)+len(its) > 0 {
		switch {
		case len(its) == 0 || len(mine) > 0 && mine[0].compare(its[0]) < 0:
			fmt.Fprintf(&text, "- %v\n", mine[0])
			mine = mine[1:]
		case len(mine) == 0 || mine[0].compare(its[0]) > 0:
			fmt.Fprintf(&text, "+ %v\n", its[0])
			its = its[1:]
		default:
			fmt.Fprintf(&text, "  %v\n", mine[0])
			mine, its = mine[1:], its[1:]
		}
	}
	return text.String()
}

// outcome is the result of one task: its value, and its error in words.
type outcome struct {
	key   int
	value int
	err   string
}

// valueOf is the value of a task that succeeds.
func valueOf(i int) int { return 100 + i }

// How errors and panics are named in histories.
const (
	theCaller   = "the caller" // the cause with which the caller's context ends
	stopped     = "stopped"    // ErrStopped
	goexit      = "Goexit"     // ErrGoexit
	yieldsAgain = "continued after yield has returned false"

	boomPrefix = "boom-" // of what the scenario's own code fails or panics with
	ofStep     = boomPrefix + "step"
	ofCleanup  = boomPrefix + "cleanup"
	ofHook     = boomPrefix + "OnCancel"
	ofDiscard  = boomPrefix + "OnDiscard"
	ofBody     = boomPrefix + "body"
)

// ofTask names the error of task i, or what it panics with.
func ofTask(i int) string { return fmt.Sprintf("%s%d", boomPrefix, i) }

// nilTask names what a sequence's nil task makes the call panic with.
func nilTask(i int) string { return fmt.Sprintf("task %d is nil", i) }

func notStarted(cause string) string       { return "not started: " + cause }
func leftBehind(cause string) string       { return "left behind: " + cause }
func panicOf(key any, value string) string { return fmt.Sprintf("panic of %v: %s", key, value) }
func failureOf(i int, err string) string {
	return fmt.Sprintf("task %d: %s", i, err)
}
