//! Arguments and answers of the tools.

use std::time::Duration;

use base64::Engine as _;
use plato_sdk::testing::{FakePlato, Fault};
use plato_sdk::tools::{Pictures, ToolShape};
use plato_sdk::{Screenshot, Size};
use platools::ToolOutput;
use platools::tool::ToolErrorKind;
use platools::wire::MAX_RESULT_BYTES;
use platools_toolkit::doctor::{Options as DoctorOptions, examine};
use serde_json::json;

use super::{call, call_in, desktops, host, job, picture, refused};

#[tokio::test]
async fn a_model_looks_clicks_types_and_saves() {
    let fake = FakePlato::start();
    let host = host(desktops(&fake.client()));
    let (media_type, png, _) = picture(&call(&host, "computer", json!({"action": "screenshot"})).await);
    assert_eq!(media_type, "image/png");
    assert_eq!(Screenshot::from_png(png.clone()).unwrap().size(), Size::new(1280, 720));
    let typed = call(&host, "computer", json!({"action": "type", "text": "milk"})).await;
    assert_ne!(picture(&typed).1, png);
    call(&host, "computer", json!({"action": "key", "text": "ctrl+s"})).await;
    let notes = call(&host, "bash", json!({"command": "cat /home/user/notes.txt"})).await;
    assert_eq!(notes.to_value(), "milk");
    let edited =
        json!({"command": "insert", "path": "/home/user/notes.txt", "insert_line": 1, "insert_text": "eggs"});
    call(&host, "edit", edited).await;
    let view = call(&host, "edit", json!({"command": "view", "path": "/home/user/notes.txt"})).await;
    assert_eq!(view.to_value(), "     1\tmilkeggs\n");
    let drag = json!({"action": "left_click_drag", "start_coordinate": [1, 2], "coordinate": [30.0, 40.0]});
    call(&host, "computer", drag).await;
    let position = call(&host, "computer", json!({"action": "cursor_position"})).await;
    assert_eq!(position.to_value(), "X=30,Y=40");
    assert_eq!(call(&host, "bash", json!({"restart": true})).await.to_value(), "OK");
    assert_eq!(fake.sessions().len(), 1, "a conversation has one desktop");
    drop(host);
    fake.all_closed().await;
}

#[tokio::test]
async fn wrong_arguments_are_answered_in_words_and_start_no_desktop() {
    let fake = FakePlato::start();
    let host = host(desktops(&fake.client()));
    for (tool, arguments, part) in [
        ("computer", json!({"action": "zoom"}), "zoom"),
        ("computer", json!({}), "action"),
        (
            "computer",
            json!({"action": "mouse_move"}),
            "`coordinate` is missing: the action `mouse_move` needs it",
        ),
        ("computer", json!({"action": "left_click", "coordinate": [-5, 2]}), "expected pixels"),
        (
            "computer",
            json!({"action": "left_click", "coordinate": [1, 2, 3]}),
            "`coordinate`: expected two numbers, [x, y], got 3",
        ),
        ("computer", json!({"action": "left_click", "coordinate": [1]}), "got 1"),
        ("computer", json!({"action": "key", "text": " "}), "`text` names no key"),
        ("computer", json!({"action": "left_click", "cordinate": [1, 2]}), "coordinate"),
        ("computer", json!({"action": "wait", "duration": 3600}), "expected 0 to 25 seconds"),
        ("computer", json!({"action": "hold_key", "text": "a"}), "`duration` is missing"),
        ("computer", json!({"action": "scroll", "scroll_direction": "sideways"}), "sideways"),
        ("computer", json!({"action": "left_click", "text": "ctrl"}), "`left_click` takes no `text`"),
        ("computer", json!({"action": "type", "text": "a", "coordinate": [1, 2]}), "takes no `coordinate`"),
        ("computer", json!({"action": "screenshot", "duration": 2}), "takes no `duration`"),
        (
            "computer",
            json!({"action": "scroll", "scroll_direction": "up", "scroll_amount": 4_000_000_000_u32}),
            "0 to 100 clicks",
        ),
        ("computer", json!({"action": "wait", "duration": 1e300}), "expected 0 to 25 seconds"),
        ("computer", json!({"action": "wait", "duration": -1}), "expected 0 to 25 seconds"),
        ("bash", json!({"command": "true", "restart": true}), "restart first"),
        ("bash", json!({}), "`command` is missing"),
        ("bash", json!({"command": "true", "timeout": 900}), "expected 1 to 25 seconds"),
        ("edit", json!({"command": "create", "path": "/tmp/a"}), "`file_text` is missing"),
        ("edit", json!({"command": "view", "path": " "}), "`path` is empty"),
    ] {
        let error = call_in(&host, "t1", tool, arguments.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ToolErrorKind::InvalidArguments, "{arguments}: {error}");
        assert!(error.to_string().contains(part), "{arguments}: {error}");
    }
    assert!(fake.requests().is_empty());
    let error = refused(&host, "computer", json!({"action": "left_click", "coordinate": [1280, 5]})).await;
    assert!(error.contains("1280x720") && error.contains("x goes from 0 to 1279"), "{error}");
    let error = refused(&host, "edit", json!({"command": "view", "path": "/none"})).await;
    assert!(error.contains("No such file"), "{error}");
}

/// The size of the picture in an answer, as the words beside it say; the screen's own where they say nothing.
fn shown_size(output: &ToolOutput) -> Size {
    let (_, _, words) = picture(output);
    let Some((_, rest)) = words.split_once("It is ") else { return Size::new(1280, 720) };
    let (width, height) = rest.split_once(',').unwrap().0.split_once('x').unwrap();
    Size::new(width.parse().unwrap(), height.parse().unwrap())
}

#[tokio::test]
async fn a_picture_that_does_not_fit_is_made_to_and_points_on_it_are_scaled_back() {
    let fake = FakePlato::start();
    for budget in [20_000, 12_000, 7_000, 4_500] {
        let host = host(desktops(&fake.client()).result_budget(budget));
        let shot = call(&host, "computer", json!({"action": "screenshot"})).await;
        assert!(shot.clone().into_json().len() <= budget, "{budget}: {}", shot.into_json().len());
        assert_eq!(picture(&shot).0, "image/jpeg", "{budget}");
        let Size { width, height } = shown_size(&shot);
        let corner = json!({"action": "mouse_move", "coordinate": [width - 1, height - 1]});
        call(&host, "computer", corner).await;
        let real =
            fake.requests().into_iter().rev().find(|request| request.path.ends_with("/computer")).unwrap();
        let (x, y) = (real.body.clone().unwrap()["coordinate"][0].as_u64().unwrap(), 1280 / width);
        assert!(x >= u64::from(1280 - y) && x < 1280, "{budget}: {real:?}");
        let error =
            refused(&host, "computer", json!({"action": "left_click", "coordinate": [width, 0]})).await;
        assert!(error.contains(&format!("{width}x{height}")), "{error}");
    }
    let host = host(desktops(&fake.client()).result_budget(600));
    let shot = call(&host, "computer", json!({"action": "screenshot"})).await;
    assert!(shot.to_value().as_str().unwrap().contains("does not fit into a result of 600 bytes"));
}

#[tokio::test]
async fn results_fit_into_what_a_platform_takes_whatever_is_in_them() {
    let fake = FakePlato::builder().screen(Size::new(3840, 2160)).start();
    let host = host(desktops(&fake.client()).screen(Size::new(1280, 1280)));
    let shot = call(&host, "computer", json!({"action": "screenshot"})).await;
    let (_, png, words) = picture(&shot);
    assert_eq!(Screenshot::from_png(png).unwrap().size(), Size::new(1280, 720));
    assert!(words.contains("1280x720, of a screen of 3840x2160"), "{words}");
    let long = json!({"output": "\u{1}".repeat(150_000), "error": "é".repeat(30_000)});
    fake.fail(Fault::on("POST /bash").json(&long));
    let said = call(&host, "bash", json!({"command": "yes"})).await;
    assert!(said.clone().into_json().len() <= MAX_RESULT_BYTES);
    assert!(said.to_value().as_str().unwrap().contains("is left out"));
}

#[tokio::test]
async fn the_split_tools_do_the_same() {
    let fake = FakePlato::start();
    let tools =
        desktops(&fake.client()).shape(ToolShape::Split).pictures(Pictures::OnRequest).prefix("desk_");
    let host = host(tools);
    let names: Vec<_> = host.tools().list().iter().map(|tool| tool.name().to_owned()).collect();
    let expected = [
        "bash",
        "click",
        "cursor_position",
        "drag",
        "edit",
        "key",
        "mouse_move",
        "screenshot",
        "scroll",
        "type_text",
        "wait",
    ];
    assert_eq!(names, expected.map(|name| format!("desk_{name}")));
    picture(&call(&host, "desk_screenshot", json!({})).await);
    let click = json!({"x": 9, "y": 8, "button": "right", "click_type": "double"});
    assert_eq!(call(&host, "desk_click", click).await.to_value(), "right_click: done");
    call(&host, "desk_click", json!({})).await;
    call(&host, "desk_click", json!({"x": 1, "y": 1, "click_type": "triple"})).await;
    call(&host, "desk_type_text", json!({"text": "ab"})).await;
    call(&host, "desk_key", json!({"key": "BackSpace"})).await;
    call(&host, "desk_scroll", json!({"direction": "down"})).await;
    call(&host, "desk_drag", json!({"start_x": 1, "start_y": 2, "end_x": 3, "end_y": 4})).await;
    call(&host, "desk_mouse_move", json!({"x": 5, "y": 6})).await;
    call(&host, "desk_wait", json!({"seconds": 0.01})).await;
    assert_eq!(call(&host, "desk_cursor_position", json!({})).await.to_value(), "X=5,Y=6");
    assert_eq!(fake.typed_text(&job(&fake)), "a");
    let sent = fake.requests().into_iter().filter(|request| request.path.ends_with("/computer"));
    let sent: Vec<_> =
        sent.map(|request| request.body.unwrap()["action"].as_str().unwrap().to_owned()).collect();
    let expected = [
        "screenshot",
        "right_click",
        "right_click",
        "left_click",
        "triple_click",
        "type",
        "key",
        "scroll",
        "mouse_move",
        "left_click_drag",
        "mouse_move",
        "wait",
        "cursor_position",
    ];
    assert_eq!(sent, expected);
    let error = refused(&host, "desk_wait", json!({"seconds": 90})).await;
    assert!(error.contains("`seconds`: expected 0 to 25 seconds, got 90"), "{error}");
    let error = refused(&host, "desk_scroll", json!({"direction": "up", "amount": 1000})).await;
    assert!(error.contains("`amount`: expected 0 to 100 clicks"), "{error}");
    let error = refused(&host, "desk_click", json!({"x": 1})).await;
    assert!(error.contains("give both, or none"), "{error}");
}

#[tokio::test]
async fn a_tool_set_has_nothing_that_keeps_a_model_from_using_it() {
    let plato = FakePlato::start().client();
    for shape in [ToolShape::Computer, ToolShape::Split] {
        let host = host(desktops(&plato).shape(shape).lifecycle(true));
        let report = examine(&host.tools().registry(), &DoctorOptions::new());
        assert!(report.findings.is_empty(), "{report:#?}");
    }
}

#[tokio::test]
async fn what_a_model_sends_beside_an_action_and_says_nothing_is_let_be() {
    let fake = FakePlato::start();
    let host = host(desktops(&fake.client()));
    let filled = json!({"action": "left_click", "coordinate": [1, 2], "start_coordinate": null, "text": "",
        "scroll_amount": 0, "duration": 0});
    call(&host, "computer", filled).await;
}

#[tokio::test]
async fn an_action_that_was_done_is_never_told_as_a_failure() {
    let fake = FakePlato::start();
    let host = host(desktops(&fake.client()));
    call(&host, "computer", json!({"action": "screenshot"})).await;
    let gif = json!({"base64_image": base64::engine::general_purpose::STANDARD.encode(b"GIF89a")});
    // Done first; then the picture of it is broken, and so are those that are taken afterwards.
    fake.fail(Fault::on("POST /computer").after_effect().json(&gif).times(4));
    let done = call(&host, "computer", json!({"action": "type", "text": "a"})).await.to_value();
    assert!(done.as_str().unwrap().starts_with("type: done, but there is no picture of it"), "{done}");
    fake.fail(Fault::on("POST /computer").after_effect().json(&json!({})));
    picture(&call(&host, "computer", json!({"action": "type", "text": "b"})).await);
    assert_eq!(fake.typed_text(&job(&fake)), "ab");
}

#[tokio::test]
async fn an_agent_that_talks_too_much_is_cut_short() {
    let fake = FakePlato::start();
    let host = host(desktops(&fake.client()));
    fake.fail(Fault::on("POST /computer").json(&json!({"output": "\u{1}".repeat(1 << 20)})));
    let done = call(&host, "computer", json!({"action": "type", "text": "a"})).await;
    let (_, _, words) = picture(&done);
    assert!(words.contains("is left out"), "{}", words.len());
    assert!(done.into_json().len() <= MAX_RESULT_BYTES);
    let long = "no 0f8fad5b-d9cb-469f-a165-70867728950e ".repeat(1 << 15);
    for (path, tool, arguments) in [
        ("POST /computer", "computer", json!({"action": "type", "text": "a"})),
        ("POST /edit", "edit", json!({"command": "view", "path": "/tmp/x"})),
    ] {
        fake.fail(Fault::on(path).json(&json!({"error": long})));
        let error = refused(&host, tool, arguments).await;
        assert!(error.len() < 8000 && error.contains("is left out"), "{}", error.len());
        assert!(!error.contains("0f8fad5b-"), "{error}");
    }
}

#[tokio::test]
async fn points_are_of_the_screen_as_it_is_now_when_it_has_changed() {
    let fake = FakePlato::start();
    let host = host(desktops(&fake.client()));
    call(&host, "computer", json!({"action": "screenshot"})).await;
    for size in [Size::new(1920, 1080), Size::new(800, 600)] {
        fake.set_screen(&job(&fake), size);
        let shot = call(&host, "computer", json!({"action": "screenshot"})).await;
        assert_eq!(Screenshot::from_png(picture(&shot).1).unwrap().size(), size);
        let corner = [size.width - 1, size.height - 1];
        call(&host, "computer", json!({"action": "mouse_move", "coordinate": corner})).await;
        let position = call(&host, "computer", json!({"action": "cursor_position"})).await;
        assert_eq!(position.to_value(), format!("X={},Y={}", corner[0], corner[1]));
        let outside = json!({"action": "mouse_move", "coordinate": [size.width, 0]});
        let error = refused(&host, "computer", outside).await;
        assert!(error.contains(&size.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_call_means_the_picture_that_was_there_when_it_came() {
    let fake = FakePlato::start();
    let host = host(desktops(&fake.client()).result_budget(5_000));
    let seen = shown_size(&call(&host, "computer", json!({"action": "screenshot"})).await);
    let real = Size::new(1920, 1080);
    fake.set_screen(&job(&fake), real);
    fake.fail(Fault::on("POST /computer").delay(Duration::from_millis(100)));
    // A model that calls twice at once has seen the first picture only, also when the second call comes to its turn.
    let look = call(&host, "computer", json!({"action": "screenshot"}));
    let corner = json!({"action": "mouse_move", "coordinate": [seen.width - 1, seen.height - 1]});
    let (look, _) = tokio::join!(look, call(&host, "computer", corner));
    assert_ne!(shown_size(&look), seen, "another picture, of which the point is not");
    let sent = fake.requests().into_iter().rev().find(|request| request.path.ends_with("/computer")).unwrap();
    let x = sent.body.unwrap()["coordinate"][0].as_u64().unwrap();
    assert!((u64::from(real.width - real.width / seen.width - 1)..u64::from(real.width)).contains(&x), "{x}");
}

#[tokio::test]
async fn what_does_not_fit_into_the_rest_of_a_call_is_not_begun() {
    let fake = FakePlato::start();
    let host = host(desktops(&fake.client()).longest_call(Duration::from_secs(3)));
    call(&host, "computer", json!({"action": "screenshot"})).await;
    let sent = || fake.count("POST", "/bash");
    let before = sent();
    let long = || call_in(&host, "t1", "bash", json!({"command": "sleep 3", "timeout": 3}));
    let (first, second) = tokio::join!(long(), long());
    first.unwrap();
    let error = second.unwrap_err().to_string();
    assert!(error.contains("nothing was done") || error.contains("was not begun"), "{error}");
    assert!(error.contains("call again"), "{error}");
    assert_eq!(sent(), before + 1);
    // Without a time of its own, a command has what is left.
    call(&host, "bash", json!({"command": "true"})).await;
    let sent = fake.requests().into_iter().rev().find(|request| request.path.ends_with("/bash")).unwrap();
    assert_eq!(sent.body.unwrap()["timeout"], json!(3));
}
