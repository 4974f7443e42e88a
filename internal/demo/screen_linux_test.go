package main

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal is a new one, of that many columns.
func terminal(t *testing.T, columns uint16) *os.File {
	t.Helper()
	open := func(name string) *os.File {
		file, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
		require.NoError(t, err)
		t.Cleanup(func() { file.Close() })
		return file
	}
	screen := open("/dev/ptmx")
	fd := int(screen.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	return open(fmt.Sprintf("/dev/pts/%d", number))
}

func TestColumnsAreThoseOfTheTerminal(t *testing.T) {
	assert.Equal(t, 57, columns(terminal(t, 57)))
	assert.Equal(t, 80, columns(terminal(t, 0)), "a terminal that does not know its size")
	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer file.Close()
	assert.Equal(t, 80, columns(file))
	assert.Equal(t, 80, columns(io.Discard))
}
