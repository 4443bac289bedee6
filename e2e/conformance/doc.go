// Package conformance judges the product by data that others wrote: manifests, and tables of API fields.
//
// Promise: a directory of the same shape gives a verdict per case, with the reason of each failure, and a total;
// nothing of the data is known to this package.
package conformance
