//! Generates the statements that build one `Tool`: its declaration and its handler.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ReturnType;
use syn::ext::IdentExt as _;

use super::parameters::Parameters;
use super::{generated_at, local, respanned};
use crate::attributes::tool::{Auth, ToolAttributes};
use crate::docs::Docs;
use crate::error::Errors;
use crate::item::{Function, blocks_in_async};
use crate::names::tool_name_problem;
use crate::parameter::UNREADABLE;
use crate::signature::{Place, SelfArgument, Signature, output_span};

/// One parsed tool: attributes, signature, name and description.
pub(crate) struct Definition {
    pub(crate) attributes: ToolAttributes,
    signature: Signature,
    name: String,
    description: Option<TokenStream>,
    blocks_in_async: bool,
}

/// How the function is called from the handler.
pub(crate) enum Call {
    /// Calls a free function by its name.
    Function,
    /// Calls an associated function of `Self`; the variable holds the toolset.
    Method(Ident),
}

impl Definition {
    /// Parses a function and reports all its mistakes.
    pub(crate) fn read(
        function: &Function,
        attributes: ToolAttributes,
        place: Place,
        errors: &mut Errors,
    ) -> Self {
        let docs = Docs::read(&function.attributes);
        let description = attributes.description.as_ref().map(ToTokens::to_token_stream).or_else(|| {
            if let Some(text) = &docs.unreadable {
                errors.on(text, UNREADABLE);
            }
            let text = &docs.description;
            (!text.is_empty()).then(|| quote!(#text))
        });
        let name = match &attributes.name {
            Some(name) => name.value(),
            None => function.ident().unraw().to_string(),
        };
        if attributes.name.is_none()
            && let Some(problem) = tool_name_problem(&name)
        {
            errors
                .on(function.ident(), format!("{problem}: choose another name with `#[tool(name = \"…\")]`"));
        }
        let signature = Signature::read(&function.signature, &docs, attributes.rename_all, place, errors);
        let blocks_in_async = blocks_in_async(function);
        Definition { attributes, signature, name, description, blocks_in_async }
    }

    /// Returns whether the tool registers itself.
    pub(crate) fn is_registered(&self) -> bool {
        self.attributes.register.as_ref().is_none_or(|register| register.value)
    }

    /// Generates statements that end in an expression of type `Tool`.
    pub(crate) fn tool(&self, private: &TokenStream, call: &Call) -> TokenStream {
        let parameters = Parameters::new(&self.signature.parameters, private);
        let spec = self.spec(private, call, &parameters);
        let preparation = parameters.preparation();
        let open = self.attributes.additional_properties.as_ref().is_some_and(|open| open.value);
        let (input, names) = (local("input"), local("names"));
        let allow_others = open.then(|| quote!(#input.allow_additional_properties();));
        let handler = self.handler(private, call, &parameters);
        quote! {
            let mut #input = #private::InputSchema::new();
            #preparation
            #allow_others
            let #names = #input.names();
            #spec
            #handler
        }
    }

    /// Generates `let spec = …;`.
    fn spec(&self, private: &TokenStream, call: &Call, parameters: &Parameters<'_>) -> TokenStream {
        let ToolAttributes { title, category, auth, roles, .. } = &self.attributes;
        let name = &self.name;
        let (spec, input) = (local("spec"), local("input"));
        let description = self.description.as_ref().map(|text| quote!(.description(#text)));
        let title = title.as_ref().map(|title| quote!(.title(#title)));
        let category = category.as_ref().map(|category| quote!(.category(#category)));
        let auth = auth.as_ref().map(|auth| {
            let auth = match auth {
                Auth::None => quote!(None),
                Auth::User => quote!(User),
                Auth::Admin => quote!(Admin),
            };
            quote!(.auth(#private::Auth::#auth))
        });
        let roles = (!roles.is_empty()).then(|| quote!(.roles([#(#roles),*])));
        let limits = self.limits(private);
        let hints = self.hints(private);
        let allow = &self.attributes.allow;
        let allow = (!allow.is_empty()).then(|| quote!(.allow([#(#allow),*])));
        let blocks_in_async = self.blocks_in_async.then(|| quote!(.blocks_in_async()));
        let describe = self.attributes.describe_parameters.as_ref().map(|describe| {
            let describe = describe.value;
            quote!(.describe_parameters(#describe))
        });
        // After the schema, into which it is written.
        let executor = self.attributes.dynamic_executor.as_ref().map(|executor| {
            let executor = executor.value;
            quote!(.dynamic_executor(#executor))
        });
        let requirements = parameters.requirements();
        let output_schema = self.output_schema(private, call);
        let location = quote_spanned! {self.signature.ident.span()=>
            .location(#private::Location {
                file: ::core::file!(),
                line: ::core::line!(),
                column: ::core::column!(),
            })
        };
        quote! {
            let #spec = #private::ToolSpec::new(#name)
                #description #auth #roles #limits #title #category #hints #allow #describe #blocks_in_async #requirements #location
                #output_schema
                .input(#input)
                #executor;
        }
    }

    fn limits(&self, private: &TokenStream) -> TokenStream {
        let duration = |duration: std::time::Duration| {
            let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
            quote!(::core::time::Duration::new(#seconds, #nanoseconds))
        };
        let timeout = self.attributes.timeout.map(|timeout| {
            let timeout = duration(timeout);
            quote!(.timeout(#timeout))
        });
        let rate_limit = self.attributes.rate_limit.map(|rate| {
            let (calls, time) = (rate.calls, duration(rate.time));
            let burst = rate.burst.map(|calls| quote!(.burst(#calls)));
            let per_user = rate.per_user.then(|| quote!(.per_user()));
            quote!(.rate_limit(#private::RateLimit::per(#calls, #time)#burst #per_user))
        });
        let concurrency = self.attributes.concurrency.map(|calls| {
            let calls = proc_macro2::Literal::u32_unsuffixed(calls);
            quote!(.concurrency(#calls))
        });
        quote!(#timeout #rate_limit #concurrency)
    }

    fn hints(&self, private: &TokenStream) -> TokenStream {
        let attributes = &self.attributes;
        let hints = [
            ("read_only", &attributes.read_only),
            ("destructive", &attributes.destructive),
            ("idempotent", &attributes.idempotent),
            ("open_world", &attributes.open_world),
        ];
        let hints = hints.into_iter().filter_map(|(name, hint)| {
            let (name, value) = (local(name), hint.as_ref()?.value);
            Some(quote!(.#name(#value)))
        });
        let annotations = attributes.annotations.iter().map(|member| {
            let (key, value) = (&member.key, &member.value);
            quote!(.annotation(#key, #private::serde_json::json!(#value)))
        });
        quote!(#(#hints)* #(#annotations)*)
    }

    /// Generates `.output_schema(…)`, unless nothing is returned. The return type is inferred from a call that never
    /// runs, so it may be opaque or borrowed, and an error in it is reported once, in the signature.
    fn output_schema(&self, private: &TokenStream, call: &Call) -> Option<TokenStream> {
        if matches!(self.signature.output, ReturnType::Default) {
            return None;
        }
        let count = self.signature.parameters.len() + usize::from(self.signature.receiver.is_some());
        let arguments = vec![quote!(#private::result::placeholder()); count];
        let function = self.function(call);
        let by = if self.signature.is_async { quote!(by_future) } else { quote!(by) };
        Some(quote! {
            .output_schema({
                use #private::result::traits::*;
                (&&&&#private::result::Returned::#by(|| #function(#(#arguments),*))).output_schema()
            })
        })
    }

    /// Generates `Tool::new(…)` or `Tool::blocking(…)`.
    fn handler(&self, private: &TokenStream, call: &Call, parameters: &Parameters<'_>) -> TokenStream {
        let (spec, names, returned) = (local("spec"), local("names"), self.returned());
        let this_call = local("call");
        let decoding = parameters.decoding();
        let finishing = self.finishing(private);
        let invocation = self.invocation(call, parameters);
        let toolset = match call {
            Call::Method(toolset) if self.signature.receiver.is_some() => {
                Some(quote!(let #toolset = ::core::clone::Clone::clone(&#toolset);))
            }
            _ => None,
        };
        if self.signature.is_async {
            // Spanned at the function's name, so that rustc reports a future that is not `Send` there.
            let place = generated_at(self.signature.ident.span());
            let new = respanned(&quote!(#private::Tool::new), place);
            let tool = quote_spanned! {place=>
                #new(#spec, move |#this_call: #private::ToolCall| {
                    let #names = ::core::clone::Clone::clone(&#names);
                    #toolset
                    async move {
                        #decoding
                        ::core::mem::drop((#this_call, #names));
                        let #returned = #invocation.await;
                        #finishing
                    }
                })
            };
            return quote!(#toolset #tool);
        }
        quote! {
            #toolset
            #private::Tool::blocking(#spec, move |#this_call: #private::ToolCall| {
                #decoding
                let #returned = #invocation;
                #finishing
            })
        }
    }

    /// Generates the call of the user's function.
    fn invocation(&self, call: &Call, parameters: &Parameters<'_>) -> TokenStream {
        let function = self.function(call);
        let toolset = match call {
            Call::Function => None,
            Call::Method(toolset) => self.signature.receiver.map(|receiver| match receiver {
                SelfArgument::Borrowed => quote!(&*#toolset),
                SelfArgument::Shared => quote!(::core::clone::Clone::clone(&#toolset)),
            }),
        };
        let arguments = toolset.into_iter().chain(parameters.passing());
        quote!(#function(#(#arguments),*))
    }

    /// Generates the path of the user's function.
    fn function(&self, call: &Call) -> TokenStream {
        let ident = &self.signature.ident;
        match call {
            Call::Function => quote!(#ident),
            Call::Method(_) => quote!(Self::#ident),
        }
    }

    /// Returns the variable for the returned value, spanned at the return type.
    fn returned(&self) -> Ident {
        Ident::new("returned", generated_at(output_span(&self.signature)))
    }

    /// Generates the conversion of the returned value into the answer.
    fn finishing(&self, private: &TokenStream) -> TokenStream {
        let returned = self.returned();
        let (levels, finish) = if self.attributes.user_errors {
            (quote!(&&&), quote!(finish_shown))
        } else {
            (quote!(&&&&&), quote!(finish))
        };
        let finished = quote_spanned! {output_span(&self.signature)=>
            (#levels #private::result::Returned::of(&#returned)).#finish(#returned)
        };
        quote!({
            use #private::result::traits::*;
            #finished
        })
    }
}
