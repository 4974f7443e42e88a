package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// switchboard is added to each package. A mutant may eat memory in an endless
// loop, or hang in a process that a test has started: it ends when it has taken
// too much, or its parent has gone.
const switchboard = `package %s

import (
	"os"
	"runtime/metrics"
	"strconv"
	"time"
)

var mutant, _ = strconv.Atoi(os.Getenv("MUTANT"))

func init() {
	if mutant == 0 || %t {
		return
	}
	parent := os.Getppid()
	go func() {
		memory := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
		for memory[0].Value.Kind() == metrics.KindBad || memory[0].Value.Uint64() < 2<<30 && os.Getppid() == parent {
			time.Sleep(50 * time.Millisecond)
			metrics.Read(memory)
		}
		os.Exit(2)
	}()
}
`

// weave is the text with the mutants in it, each asleep unless the variable
// mutant has its number.
func weave(text string, mutants []*mutant, number map[*mutant]int) string {
	mutants = slices.Clone(mutants)
	slices.SortStableFunc(mutants, func(a, b *mutant) int {
		return cmp.Or(a.start-b.start, b.end-a.end)
	})
	woven, _ := weaveRange(text, 0, len(text), mutants, number)
	return woven
}

// weaveRange is weave for a part of the text. The mutants are in order, outer
// ones first; it also returns those that come after the part.
func weaveRange(text string, start, end int, mutants []*mutant, number map[*mutant]int) (string, []*mutant) {
	var b strings.Builder
	for len(mutants) > 0 && mutants[0].end <= end {
		m := mutants[0]
		b.WriteString(text[start:m.start])
		var inner string
		inner, mutants = weaveRange(text, m.start, m.end, mutants[1:], number)
		b.WriteString(m.asleep(inner, number[m]))
		start = m.end
	}
	b.WriteString(text[start:end])
	return b.String(), mutants
}

// asleep is code that does what old does, and what the mutant does if it is
// awake.
func (m *mutant) asleep(old string, number int) string {
	switch m.kind {
	case statement:
		return fmt.Sprintf("if mutant == %d { %s } else { %s }", number, m.text, old)
	case branch:
		return fmt.Sprintf("{ if mutant == %d { %s } else %s }", number, m.text, old)
	default:
		return fmt.Sprintf("func() %s { if mutant == %d { return %s }; return %s }()", m.result, number, m.text, old)
	}
}
