package lambda

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// code is an unpacked deployment package. Versions of functions with the same
// content share it; it is removed with the last of them.
type code struct {
	sha  string // base64, as AWS prints it
	size int64
	dir  string // "" without content, or where nothing runs it
	key  string // in Service.codes
	refs int    // guarded by Service.mu
}

// runner is a Launcher that runs the unpacked code, and can tell that it would not
// run. For others nothing is unpacked.
type runner interface {
	Check(dir, architecture string) error
}

// unpack returns the code of spec with a reference of the caller's.
func (s *Service) unpack(spec FunctionSpec) (*code, error) {
	if spec.Code == nil && spec.Zip == nil {
		return &code{sha: spec.CodeSHA256, refs: 1}, nil
	}
	files, size, err := openPackage(spec)
	if err != nil {
		return nil, err
	}
	sum, total, err := digest(spec, files)
	if err != nil {
		return nil, fmt.Errorf("read code of function %s: %w", spec.Name, err)
	}
	if total > maxUnzipped {
		return nil, invalid("Unzipped size must be smaller than %d bytes", maxUnzipped)
	}
	c := &code{sha: spec.CodeSHA256, size: size, key: hex.EncodeToString(sum), refs: 1}
	if c.sha == "" {
		c.sha = base64.StdEncoding.EncodeToString(sum)
	}
	if size == 0 {
		c.size = total
	}
	runner, ok := s.opts.Launcher.(runner)
	if !ok {
		return c, nil
	}
	s.mu.Lock()
	if have := s.codes[c.key]; have != nil {
		have.refs++
		s.mu.Unlock()
		if err := runner.Check(have.dir, spec.Architecture); err != nil {
			s.releaseCode(have)
			return nil, err
		}
		return have, nil
	}
	s.mu.Unlock()
	return s.unpackNew(runner, spec, c, files)
}

func (s *Service) unpackNew(runner runner, spec FunctionSpec, c *code, files fs.FS) (*code, error) {
	home, err := s.home()
	if err != nil {
		return nil, err
	}
	// A directory per unpacking, not per digest: an older one of the same
	// content may be on its way out.
	if err := os.MkdirAll(filepath.Join(home, "code"), 0o755); err != nil {
		return nil, fmt.Errorf("unpack code of function %s: %w", spec.Name, err)
	}
	if c.dir, err = os.MkdirTemp(filepath.Join(home, "code"), c.key[:12]+"-"); err != nil {
		return nil, fmt.Errorf("unpack code of function %s: %w", spec.Name, err)
	}
	if err = copyTree(c.dir, files); err == nil {
		err = runner.Check(c.dir, spec.Architecture)
	}
	if err != nil {
		os.RemoveAll(c.dir)
		return nil, fmt.Errorf("unpack code of function %s: %w", spec.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.codes[c.key]; have != nil { // another call was faster
		have.refs++
		os.RemoveAll(c.dir)
		return have, nil
	}
	s.codes[c.key] = c
	return c, nil
}

// releaseCode gives up one reference.
func (s *Service) releaseCode(c *code) {
	s.mu.Lock()
	c.refs--
	last := c.refs == 0
	if last && s.codes[c.key] == c {
		delete(s.codes, c.key)
	}
	s.mu.Unlock()
	if last && c.dir != "" {
		os.RemoveAll(c.dir)
	}
}

func openPackage(spec FunctionSpec) (files fs.FS, size int64, err error) {
	if spec.Zip == nil {
		return spec.Code, 0, nil
	}
	if len(spec.Zip) > maxZipped {
		// The limit is on the call, in which the package is base64. Larger ones come
		// from S3: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
		return nil, 0, &Invalid{Code: "RequestEntityTooLargeException", Message: fmt.Sprintf(
			"Request must be smaller than 69905067 bytes for the CreateFunction operation (the package of function %s has %d bytes, at most %d can be uploaded directly)", spec.Name, len(spec.Zip), maxZipped)}
	}
	r, err := zip.NewReader(bytes.NewReader(spec.Zip), int64(len(spec.Zip)))
	if err != nil {
		return nil, 0, invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
	}
	return r, int64(len(spec.Zip)), nil
}

// digest returns the SHA-256 of the package, or of names and contents when
// there is no package, and the size of all files.
func digest(spec FunctionSpec, files fs.FS) (sum []byte, total int64, err error) {
	h := sha256.New()
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		if spec.Zip != nil {
			return nil
		}
		f, err := files.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		fmt.Fprintf(h, "%s\x00%d\x00", path, info.Size())
		_, err = io.Copy(h, f)
		return err
	})
	if spec.Zip != nil {
		h.Write(spec.Zip)
	}
	return h.Sum(nil), total, err
}

// copyTree unpacks files into dir. bootstrap is made executable whatever the
// archive says: archives built by Pulumi lose the bit.
func copyTree(dir string, files fs.FS) error {
	return fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(path))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if path == "bootstrap" || info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		return copyFile(to, files, path, mode)
	})
}

func copyFile(to string, files fs.FS, path string, mode os.FileMode) error {
	in, err := files.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
