// Command timesheet is a small time tracker.
package main

func main() {}
