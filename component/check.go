package component

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	perrors "github.com/pulumi/pulumi/sdk/v3/go/pulumi/errors"
)

// checker collects what is wrong with the arguments, so that all of it is told
// at once. Values that are not known yet are checked by the same functions when
// they are.
type checker struct{ faults []fault }

// fault is one wrong property. An empty path keeps it out of the SDK's
// details, which print the value beside it: faults of secrets are so.
type fault struct{ path, shown, reason string }

func (c *checker) add(path, format string, args ...any) {
	c.faults = append(c.faults, fault{path: path, shown: path, reason: fmt.Sprintf(format, args...)})
}

func (c *checker) addSecret(path, format string, args ...any) {
	c.faults = append(c.faults, fault{shown: path, reason: fmt.Sprintf(format, args...)})
}

// err returns all faults as one error, or nil.
func (c *checker) err() error {
	if len(c.faults) == 0 {
		return nil
	}
	e := &argsError{faults: c.faults, sdk: perrors.NewInputPropertiesError("streamer: invalid arguments")}
	for _, f := range c.faults {
		if f.path == "" {
			e.sdk.Message += "; " + f.shown + ": " + f.reason
			continue
		}
		e.sdk.Errors = append(e.sdk.Errors, perrors.InputPropertyErrorDetails{PropertyPath: f.path, Reason: f.reason})
	}
	return e
}

// argsError prints one fault a line. The SDK's own error runs them together; it is still
// there for a component provider, which looks for it.
type argsError struct {
	faults []fault
	sdk    *perrors.InputPropertiesError
	// where the component was declared, file:line; "" when that is not known.
	where string
}

func (e *argsError) Error() string {
	var b strings.Builder
	b.WriteString("streamer: invalid arguments:")
	if e.where != "" {
		b.WriteString(" (declared at " + e.where + ")")
	}
	for _, f := range e.faults {
		b.WriteString("\n  - " + f.shown + ": " + strings.ReplaceAll(f.reason, "\n", "\n      "))
	}
	return b.String()
}

func (e *argsError) Unwrap() error { return e.sdk }

// known returns the value of an input that is no Output.
func known[T any](in any) (value T, ok bool) {
	v := reflect.ValueOf(in)
	for v.IsValid() && v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	want := reflect.TypeFor[T]()
	if !v.IsValid() || v.Kind() != want.Kind() {
		return value, false
	}
	return v.Convert(want).Interface().(T), true
}

// given reports whether an input was set: nil interfaces and nil pointers are not.
func given(in any) bool {
	v := reflect.ValueOf(in)
	return v.IsValid() && (v.Kind() != reflect.Pointer || !v.IsNil())
}

// text settles an optional text: its default, and a check that answers why a value
// is wrong, or "". The check may be nil.
func (c *checker) text(path string, in pulumi.StringPtrInput, fallback string, check func(string) string) pulumi.StringOutput {
	if check == nil {
		check = func(string) string { return "" }
	}
	if !given(in) {
		return pulumi.String(fallback).ToStringOutput()
	}
	if v, ok := known[string](in); ok {
		if why := check(v); why != "" {
			c.add(path, "%s", why)
		}
		return pulumi.String(v).ToStringOutput()
	}
	return in.ToStringPtrOutput().ApplyT(func(v *string) (string, error) {
		if v == nil {
			return fallback, nil
		}
		return *v, late(path, check(*v))
	}).(pulumi.StringOutput)
}

// whole settles an optional whole number from lo to hi.
func (c *checker) whole(path string, in pulumi.IntPtrInput, fallback, lo, hi int) pulumi.IntOutput {
	check := func(n int) string {
		if n < lo || n > hi {
			return fmt.Sprintf("is %d, may be %d to %d", n, lo, hi)
		}
		return ""
	}
	return c.number(path, in, fallback, check)
}

func (c *checker) number(path string, in pulumi.IntPtrInput, fallback int, check func(int) string) pulumi.IntOutput {
	if !given(in) {
		return pulumi.Int(fallback).ToIntOutput()
	}
	if v, ok := known[int](in); ok {
		if why := check(v); why != "" {
			c.add(path, "%s", why)
		}
		return pulumi.Int(v).ToIntOutput()
	}
	return in.ToIntPtrOutput().ApplyT(func(v *int) (int, error) {
		if v == nil {
			return fallback, nil
		}
		return *v, late(path, check(*v))
	}).(pulumi.IntOutput)
}

// decimal settles an optional number that need not be whole.
func (c *checker) decimal(path string, in pulumi.Float64PtrInput, fallback float64, check func(float64) string) pulumi.Float64Output {
	if !given(in) {
		return pulumi.Float64(fallback).ToFloat64Output()
	}
	if v, ok := known[float64](in); ok {
		if why := check(v); why != "" {
			c.add(path, "%s", why)
		}
		return pulumi.Float64(v).ToFloat64Output()
	}
	return in.ToFloat64PtrOutput().ApplyT(func(v *float64) (float64, error) {
		if v == nil {
			return fallback, nil
		}
		return *v, late(path, check(*v))
	}).(pulumi.Float64Output)
}

// late is the error for a value that became known after the constructor.
func late(path, why string) error {
	if why == "" {
		return nil
	}
	c := checker{}
	c.add(path, "%s", why)
	return c.err()
}
