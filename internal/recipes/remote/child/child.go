// Package child runs this program again, as other processes that never outlive
// this one.
package child

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// A Child is another process of this program.
type Child struct {
	process *exec.Cmd
	stdin   io.WriteCloser
	silent  chan struct{} // closed when its output has ended
}

// variable is set in the environment of a child.
const variable = "CHILD_FOLLOWS_STDIN"

// Start starts a process with these arguments; heard is called with every line
// that it prints, by a goroutine of its own.
func Start(heard func(line string), args ...string) (*Child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &Child{process: exec.Command(program, args...), silent: make(chan struct{})}
	c.process.Env = append(os.Environ(), variable+"=1")
	c.process.Stderr = os.Stderr
	c.stdin, err = c.process.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.process.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.silent)
		each(stdout, heard)
	}()
	return c, nil
}

// Silent returns a channel that is closed when the child prints no more, most
// likely because it has ended.
func (c *Child) Silent() <-chan struct{} { return c.silent }

// Say sends the child a line.
func (c *Child) Say(line string) error {
	_, err := fmt.Fprintln(c.stdin, line)
	return err
}

// Kill kills the process, as a crash would, and returns when it is gone and
// all that it has printed has been heard. To kill it again changes nothing.
func (c *Child) Kill() {
	c.process.Process.Kill() //nolint:errcheck // it is gone already
	<-c.silent
	c.process.Wait() //nolint:errcheck // it says that the process was killed
}

// Follow makes this process a child, if [Start] has started it: heard is called
// with every line that the parent says, and when the parent is gone, however it
// ended, the process ends. The pipe between them tells: the system closes it.
func Follow(heard func(line string)) {
	if os.Getenv(variable) == "" {
		return
	}
	go func() {
		each(os.Stdin, heard)
		os.Exit(1)
	}()
}

// each calls f with each line.
func each(r io.Reader, f func(line string)) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		f(lines.Text())
	}
}
