package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// equivalents are the mutants known to be equivalent.
type equivalents map[change]bool

// readEquivalent reads a list of entries as they are printed for a survivor,
// each followed by the reason why it is equivalent, with blank lines between.
// Lines that begin with # are comments.
func readEquivalent(path string) (equivalents, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	known := equivalents{}
	text = regexp.MustCompile(`(?m)^#.*\n`).ReplaceAll(text, nil)
	for entry := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		m := regexp.MustCompile(`^(\S+) (\S+)\n- (.*)\n(?:\+ (.*)\n)?\w`).FindStringSubmatch(entry)
		if m == nil {
			return nil, fmt.Errorf("%s: not an entry with a reason:\n%s", path, entry)
		}
		known[change{m[1], m[2], m[3], m[4]}] = true
	}
	return known, nil
}

// unused lists the entries of the files in question that fit no mutant.
func (known equivalents) unused(mutants []*mutant, only *regexp.Regexp) (unused []change) {
	used := equivalents{}
	for _, m := range mutants {
		used[m.change] = true
	}
	for c := range known {
		if !used[c] && only.MatchString(c.File) {
			unused = append(unused, c)
		}
	}
	return unused
}
