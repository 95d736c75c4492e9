//! The web app of an environment: a login, and a form that changes something. And a desktop's liveview.

use serde_json::json;

use super::record::Asked;
use super::reply::Reply;
use super::world::Shared;

/// The credentials that can log in.
const USER: &str = "admin";
const PASSWORD: &str = "password";

pub(super) fn answer(shared: &Shared, asked: &Asked, job: &str, path: &[&str]) -> Reply {
    let form: Vec<(String, String)> =
        url::form_urlencoded::parse(asked.text.as_bytes()).into_owned().collect();
    let field = |name: &str| form.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let simulator = shared.with(|world| world.running(job).map(|job| job.simulator.clone()));
    let Some(simulator) = simulator else { return Reply::detail(404, "no such environment") };
    match (asked.method.as_str(), path) {
        ("GET", [] | ["login"]) => page(&simulator, &login("")),
        ("POST", ["login"]) if field("user") == Some(USER) && field("password") == Some(PASSWORD) => {
            shared.with(|world| {
                if let Some(job) = world.running(job) {
                    job.note(json!({"table": "logins", "operation": "INSERT", "row": {"user": USER}}));
                }
            });
            let mut reply = Reply::status(303);
            reply.headers.push(("location".to_owned(), format!("/_app/{job}/home")));
            reply
        }
        ("POST", ["login"]) => page(&simulator, &login("<p class='error'>Wrong user or password</p>")),
        ("GET", ["home"]) => page(&simulator, HOME),
        ("POST", ["leads"]) => {
            let row = json!({"name": field("name")});
            shared.with(|world| {
                if let Some(job) = world.running(job) {
                    job.note(json!({"table": "leads", "operation": "INSERT", "row": row}));
                }
            });
            page(&simulator, "<p id='saved'>Saved</p>")
        }
        _ => Reply::detail(404, "Not Found"),
    }
}

const HOME: &str = "<h1>Home</h1><form method='post' action='leads'>\
    <input id='name' name='name'><button id='save'>Save</button></form>";

fn login(message: &str) -> String {
    format!(
        "<h1>Log in</h1>{message}<form method='post' action='login'><input id='user' name='user'>\
         <input id='password' name='password' type='password'><button type='submit'>Log in</button></form>"
    )
}

fn page(title: &str, body: &str) -> Reply {
    Reply::html(format!("<!doctype html><title>{title}</title><body>{body}</body>"))
}

/// A desktop's screen for a person.
pub(super) fn liveview(shared: &Shared, job: &str) -> Reply {
    let screen = shared.with(|world| world.running(job).map(|job| job.machine.screenshot()));
    let Some(screen) = screen else { return Reply::detail(404, "no such desktop") };
    let mut reply = Reply::status(200);
    reply.headers.push(("content-type".to_owned(), "image/png".to_owned()));
    reply.body = screen;
    reply
}
