// Package recipes has no code of its own: its tests are examples to copy, one
// to a file. They show await together with other libraries, and in situations
// that its own examples leave out. README.md lists them.
package recipes
