//! A tool host for Platos.

#![allow(dead_code)]

mod json;
