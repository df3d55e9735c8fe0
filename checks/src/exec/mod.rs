//! exec-check.
#![allow(dead_code)]
mod codes; mod command; mod stable; mod env; mod outcome; mod output; mod local; mod remote;
