package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Note appends packages to the list at path, for the host of the program that builds
// them: a line of JSON each. Without a path it does nothing.
func Note(path string, packages ...Package) error {
	if path == "" {
		return nil
	}
	var lines bytes.Buffer
	for _, p := range packages {
		dir, err := filepath.Abs(p.Dir) // the host runs elsewhere
		if err != nil {
			return fmt.Errorf("note package %s: %w", p.name(), err)
		}
		p.Dir = dir
		if err := json.NewEncoder(&lines).Encode(p); err != nil {
			return fmt.Errorf("note package %s: %w", p.name(), err)
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("note packages: %w", err)
	}
	_, err = f.Write(lines.Bytes())
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("note packages: %w", err)
	}
	return nil
}

// Noted returns the packages of a list. What was not written to its end is left out.
func Noted(path string) ([]Package, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read noted packages: %w", err)
	}
	defer f.Close()
	var packages []Package
	for d := json.NewDecoder(f); ; {
		var p Package
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return packages, nil
		case err != nil:
			return packages, fmt.Errorf("read noted packages %s: %w", path, err)
		}
		packages = append(packages, p)
	}
}
