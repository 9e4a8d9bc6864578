package deploy

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/archive"
)

// zipped returns the deployment package of a function. A .zip file of the user
// is passed on byte for byte, as to AWS; anything else is packed here.
func zipped(a *archive.Archive, dir string) ([]byte, error) {
	if path, ok := a.GetPath(); ok && strings.HasSuffix(path, ".zip") {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read code: %w", err)
		}
		return data, nil
	}
	files, err := unpacked(a, dir)
	if err != nil {
		return nil, fmt.Errorf("read code: %w", err)
	}
	return pack(files)
}

type file struct {
	name string
	data []byte
}

func unpacked(a *archive.Archive, dir string) (files []file, err error) {
	reader, err := a.OpenWithWD(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	for {
		name, blob, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(blob)
		if err = errors.Join(err, blob.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, file{filepath.ToSlash(name), data})
	}
}

// pack makes the same bytes of the same files. Archives of Pulumi carry no
// modes, so that bootstrap, which Lambda executes, is given its executable bit.
func pack(files []file) ([]byte, error) {
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
		h.SetMode(0o644)
		if f.name == "bootstrap" {
			h.SetMode(0o755)
		}
		entry, err := w.CreateHeader(h)
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
		if _, err := entry.Write(f.data); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack code: %w", err)
	}
	return buf.Bytes(), nil
}
