package main

import (
	"bufio"
	"fmt"
	"os"
)

// record is a file that lists the mutants that were killed, so that a run that
// was interrupted, or left survivors, goes on with the others. It is of use as
// long as the code is the same, and no test is taken away.
type record struct {
	file *os.File // nil: nothing is kept
	seen map[string]bool
}

// openRecord opens the file, which need not exist; an empty path is none.
func openRecord(path string) (*record, error) {
	if path == "" {
		return &record{}, nil
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	r := &record{file, map[string]bool{}}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		r.seen[lines.Text()] = true
	}
	return r, lines.Err()
}

// key is the mutant's line in the file.
func (r *record) key(m *mutant) string {
	return fmt.Sprintf("%s:%d:%d-%d:%q", m.File, m.line, m.start, m.end, m.text)
}

func (r *record) has(m *mutant) bool { return r.seen[r.key(m)] }

func (r *record) add(m *mutant) error {
	if r.file == nil {
		return nil
	}
	_, err := fmt.Fprintln(r.file, r.key(m))
	return err
}

// close closes the file.
func (r *record) close() {
	if r.file != nil {
		r.file.Close()
	}
}
