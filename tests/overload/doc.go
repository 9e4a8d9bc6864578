// Package overload stands the whole system up in one process and in virtual
// time, and gives it more than it may take: what is too much has to wait or be
// refused, and nobody else may notice. The package may import every other one;
// nothing of it outlives its bubble.
package overload
